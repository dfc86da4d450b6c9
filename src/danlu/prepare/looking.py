"""The first look at a table: what its columns are, which rows can be used, where they go, and what is odd about them.

read → choose types → parse → leave out what cannot be used → split → audit

Columns are looked at one at a time, so that a table may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from danlu.base.errors import DataError, Fault, RecipeError
from danlu.base.progress import Progress
from danlu.base.threads import in_turn
from danlu.columns.column import nulled
from danlu.columns.datetime import Datetime
from danlu.columns.number import Number, read_fractions
from danlu.prepare import findings as reports
from danlu.prepare.audit import CHECKS, Audited, audit, find_time_order
from danlu.prepare.choose import (
    Chosen,
    check_inputs,
    check_names,
    check_roles,
    check_target,
    choose_column,
    column_fault,
    ignored_findings,
    said_of,
)
from danlu.prepare.columnar import Columns, compact, smallest
from danlu.prepare.filling import check_fillers
from danlu.prepare.looked import Looked, workers
from danlu.prepare.prepared import Finding
from danlu.prepare.profile import figures_of
from danlu.prepare.rows import (
    check_given,
    check_rejected,
    check_splits,
    dropped,
    missing_target,
    quarantine,
    unseen_classes,
)
from danlu.prepare.sources.table import Table
from danlu.prepare.splits import LEFT_OUT, TRAIN, Keys, split_rows
from danlu.prepare.strata import levels
from danlu.prepare.tagging import aligned, check_tags
from danlu.prepare.values import missing_word_findings, spelling_findings
from danlu.recipe.schema import Recipe, SplitBy

_CLASSES = ("category", "boolean")


@dataclass(frozen=True)
class _Seen:
    """One column by itself: what it is, its parsed values or raw ones where it is not used, or what is wrong."""

    name: str
    chosen: Chosen | None = None
    parsed: pl.Series | None = None
    unused: pl.Series | None = None
    wrong: tuple[DataError, ...] = ()
    faults: tuple[Fault, ...] = ()


class Looking:
    """One look under way.

    Args:
        recipe: what was asked for.
        table: what was read.
        pictures: file → SHA-256.
        noticed: gets the findings, so that they are known even where it ends with an error.
        progress: told of the work.
        folder: where parsed columns of a large table are; None holds them.

    Attributes:
        table: what was read; rows with broken pictures are among its rejected ones in the end.
        places: (N,) int64, the used rows' places in the table's frame.
    """

    def __init__(
        self,
        recipe: Recipe,
        table: Table,
        pictures: Mapping[str, str],
        noticed: list[Finding],
        progress: Progress,
        folder: Path | None = None,
    ) -> None:
        self.recipe, self.table, self.pictures, self.noticed, self.progress = recipe, table, pictures, noticed, progress
        self.missing_values = recipe.data.missing_values
        self.target_name = recipe.data.target
        self.parsed = Columns(folder / "parsed" if folder else None)
        self.unused = Columns(folder / "unused" if folder else None)
        self.places = np.zeros(0, np.int64)

    def look(self) -> Looked:
        """All of it.

        Raises:
            DataError: they cannot be used; where no column is left to learn from, what there is has been audited.
            RecipeError: an option of a column whose type was inferred is wrong.
        """
        self.noticed += self.table.findings
        check_rejected(self.table, self.table.num_read, self.recipe.prepare.max_rejected)
        chosen = self._choose()
        target, inputs, codes = self._usable(chosen)
        rows = self.table.rows
        rows = rows if len(rows) == len(self.places) else rows[self.places]
        looked = Looked(chosen, inputs, target, codes, rows, {})
        self._audit(looked)
        check_inputs(chosen, self.target_name)
        return replace(looked, figures=self._measure(looked))

    def _choose(self) -> dict[str, Chosen]:
        """Every column's type and options; its parsed values go to `parsed`, or as they are to `unused`."""
        frame = self.table.frame
        check_names(frame, self.recipe)
        chosen: dict[str, Chosen] = {}
        faults: list[Fault] = []
        wrong: list[DataError] = []
        count = workers(frame.height)
        with self.progress.task("look at columns", total=frame.width) as task:
            for seen in in_turn(self._see, frame.columns, count):
                task.advance(1, seen.name)
                faults += seen.faults
                if seen.chosen is None:
                    continue
                chosen[seen.name] = seen.chosen
                wrong += seen.wrong
                if seen.parsed is not None:
                    self.parsed.put(seen.name, seen.parsed)
                if seen.unused is not None:
                    self.unused.put(seen.name, seen.unused)
            task.advance(0, f"{frame.width:,} in all")
        if faults:
            raise RecipeError(faults)
        check_target(chosen[self.target_name])
        check_roles(chosen, self.target_name)
        chosen = aligned(chosen, self.target_name)
        check_fillers(self.recipe, chosen)
        self.noticed += ignored_findings(chosen, self.target_name)
        reports.refuse([one for one in self.noticed if one.key.startswith("mixed_values:")], ())
        if wrong:
            raise wrong[0]
        self.noticed += check_tags(chosen, self.parsed, self.target_name, self.table.rows)
        return chosen

    def _see(self, name: str) -> _Seen:
        """One column; it is called in several threads."""
        try:
            return self._seen(name)
        except ValidationError as error:
            return _Seen(name, faults=tuple(column_fault(name, one) for one in error.errors()))

    def _seen(self, name: str) -> _Seen:
        said, is_target = said_of(name, self.recipe), name == self.target_name
        values = self.table.frame[name]
        numbers = read_fractions(values, self.missing_values) if said.type in (None, "number") else None
        if numbers is not None:
            one = choose_column(numbers, said, is_target=is_target, design=self.recipe.design)
            if one.type == "number" and one.options["decimal"] == ".":
                return _Seen(name, one, numbers.rechunk())
        values = nulled(values, self.missing_values)
        one = choose_column(values, said, is_target=is_target, design=self.recipe.design)
        if one.type == "ignore":
            return _Seen(name, one, unused=values.rechunk() if one.finding else None)
        try:
            parsed = one.parse(values)
            check_given(parsed, one)
        except DataError as error:
            return _Seen(name, one, wrong=(error,))
        return _Seen(name, one, parsed.rechunk())

    def _usable(self, chosen: Mapping[str, Chosen]) -> tuple[pl.Series, Columns, np.ndarray]:
        """The compact target, the inputs and the splits of the rows that can be used."""
        unreadable, self.table = quarantine(self.table, chosen, self.parsed, self.progress)
        num_read = self.table.num_read - int(unreadable.sum())
        self.noticed += check_rejected(self.table, num_read, self.recipe.prepare.max_rejected)
        self.noticed += spelling_findings(self.parsed, chosen)
        self.noticed += missing_word_findings(self.table.frame, self.parsed, chosen, self.missing_values)
        names = [name for name in self.parsed if name != self.target_name]
        target = self.parsed[self.target_name]
        missing, findings = missing_target(target, self.table.rows)
        self.noticed += findings
        drop, findings = dropped(self.parsed.only(names), chosen, len(target))
        self.noticed += findings
        self.places = smallest(np.flatnonzero(~(unreadable | missing | drop)))
        if len(self.places) < len(target):
            target = target.gather(pl.Series(self.places))
        target, codes = self._split(target, chosen)
        self._take(target.name, names)
        if self.recipe.prepare.split.is_by_chance and self.table.split is None:
            self.noticed += find_time_order(self.parsed.only(names), chosen)
        return compact(target), self._taught(self.parsed.only(names), chosen, codes), codes

    def _split(self, target: pl.Series, chosen: Mapping[str, Chosen]) -> tuple[pl.Series, np.ndarray]:
        """The target and the splits of the rows that are left: none whose class never trains."""
        recipe = self.recipe
        codes, findings = split_rows(self._keys(target, chosen), recipe.prepare.split, recipe.seed)
        self.noticed += findings
        target, codes = self._keep(codes != LEFT_OUT, target, codes)
        is_class = chosen[self.target_name].type in _CLASSES
        if is_class:
            unseen, findings = unseen_classes(target, codes)
            self.noticed += findings
            target, codes = self._keep(~unseen, target, codes)
        check_splits(target, codes, is_class=is_class)
        return target, codes

    def _keep(self, keep: np.ndarray, target: pl.Series, codes: np.ndarray) -> tuple[pl.Series, np.ndarray]:
        if keep.all():
            return target, codes
        self.places = self.places[keep]
        return target.filter(pl.Series(keep)), codes[keep]

    def _take(self, target: str, names: list[str]) -> None:
        """Only the rows in use, in every column."""
        if len(self.places) == self.table.frame.height:
            return
        places = pl.Series(self.places)
        for columns, some in ((self.parsed, [target, *names]), (self.unused, list(self.unused))):
            for name in some:
                columns.put(name, columns[name].gather(places))

    def _keys(self, target: pl.Series, chosen: Mapping[str, Chosen]) -> Keys:
        by, given = self.recipe.prepare.split.by, self.table.split
        given = None if given is None else given[self.places]
        if not isinstance(by, SplitBy):
            return Keys(target, None, given)
        alike = tuple(levels(self._used(name, target)) for name in by.stratify or ())
        name = by.group or by.time or by.column
        if name is None:
            return Keys(target, None, given, alike)
        values = nulled(self.table.frame[name], self.missing_values).gather(pl.Series(self.places))
        if by.time:
            values = chosen[name].parse(values) if chosen[name].type in ("number", "datetime") else _as_times(values)
        return Keys(target, values, given, alike)

    def _used(self, name: str, target: pl.Series) -> pl.Series:
        """A column's parsed values in the rows that can be used, or as they were read where it is no input."""
        if name == target.name:
            return target
        if name in self.parsed:
            return self.parsed[name].gather(pl.Series(self.places))
        return nulled(self.table.frame[name], self.missing_values).gather(pl.Series(self.places))

    def _taught(self, inputs: Columns, chosen: Mapping[str, Chosen], codes: np.ndarray) -> Columns:
        """Inputs without those that no training row has a value of; where the recipe types one, its fit will object."""
        train = pl.Series(codes == TRAIN)
        empty = [
            name
            for name, values in inputs.items()
            if not chosen[name].given and values.null_count() and values.filter(train).is_null().all()
        ]
        for name in empty:
            message = f"{name} is missing in all training rows; it is not used"
            remedy = "split otherwise, or leave it out"
            self.noticed.append(
                Finding(key=f"empty:{name}", severity="warning", message=message, columns=(name,), remedy=remedy)
            )
        left = [name for name in inputs if name not in empty]
        if empty and not left:
            raise DataError(
                f"no input column has values in the training rows: {', '.join(empty[:10])}",
                where="data.columns",
                hint="give columns with values, or split otherwise",
            )
        return inputs.only(left)

    def _audit(self, looked: Looked) -> None:
        if not self.recipe.prepare.audit:
            message = "nobody has looked for leaks, copies and other faults in the data: prepare.audit is false"
            self.noticed.append(
                Finding(key="not_audited", severity="warning", message=message, remedy="set prepare.audit to true")
            )
            return
        others = [name for name in self.unused if looked.chosen[name].finding in ("text", "high_cardinality")]
        with self.progress.task("audit", total=len(CHECKS)) as task:
            found = audit(
                Audited(
                    looked.inputs,
                    looked.chosen,
                    looked.held_target,
                    looked.codes,
                    looked.rows,
                    self.pictures,
                    self.unused.only(others),
                    self.unused,
                    by_chance=self.recipe.prepare.split.is_by_chance and self.table.split is None,
                ),
                lambda note: task.advance(1, note),
            )
            task.advance(0, f"{len(CHECKS)} checks")
        self.noticed += found

    def _measure(self, looked: Looked) -> dict[str, dict[str, Any]]:
        train = pl.Series(looked.is_train)
        figures = {}
        with self.progress.task("measure columns", total=len(looked.chosen)) as task:
            names = list(looked.chosen)

            def measure(name: str) -> dict[str, Any]:
                return figures_of(looked.chosen[name], self._values(name, looked).filter(train))

            for name, found in zip(names, in_turn(measure, names, workers(len(train))), strict=True):
                figures[name] = found
                task.advance(1, name)
            task.advance(0, f"{len(names):,} in all")
        return figures

    def _values(self, name: str, looked: Looked) -> pl.Series:
        """A column's values in the rows in use, parsed where it is an input."""
        if name == looked.target_name:
            return looked.target
        for columns in (looked.inputs, self.parsed, self.unused):
            if name in columns:
                return columns[name]
        return nulled(self.table.frame[name], self.missing_values).gather(pl.Series(self.places))


def _as_times(values: pl.Series) -> pl.Series:
    """A column to order rows by, as times or numbers. Raises DataError."""
    for column in (Datetime(), Number()):
        try:
            return column.parse(values).alias(values.name)
        except DataError:
            continue
    raise DataError(
        f"{values.name} holds neither times nor numbers ({values.drop_nulls().head(1).to_list()})",
        where=f"column {values.name}",
        hint="name a column of times in prepare.split.by.time",
    )
