"""Step 1: from whatever holds rows to encoded splits, fitted columns and findings.

read → choose types → leave out what cannot be used → split → audit → fit on the training rows → encode
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save

from danlu.base.errors import DataError
from danlu.base.files import code_version, fingerprint, read_json, write_bytes, write_json
from danlu.base.progress import Progress
from danlu.base.runs import Run
from danlu.columns.column import FittedColumn, nulled
from danlu.columns.schema import Schema
from danlu.prepare import findings as reports
from danlu.prepare.audit import Audited, audit, find_time_order
from danlu.prepare.cache import cached
from danlu.prepare.choose import Chosen, check_inputs, choose_columns, ignored_findings
from danlu.prepare.encode import encode_split, write_raw
from danlu.prepare.prepared import SPLITS, Finding, Prepared
from danlu.prepare.profile import profile
from danlu.prepare.rows import (
    check_rejected,
    check_splits,
    dropped,
    missing_target,
    parse_columns,
    quarantine,
    unseen_classes,
)
from danlu.prepare.sources.reading import file_hashes, read_data, table_hash
from danlu.prepare.sources.table import PICTURES, Table
from danlu.prepare.splits import LEFT_OUT, TRAIN, Keys, split_rows
from danlu.prepare.values import outlier_findings, spelling_findings
from danlu.recipe.schema import Recipe, SplitBy

_CLASSES = ("category", "boolean")
_PLACES: dict[str, Any] = {
    **dict.fromkeys(("source", "train", "validation", "test"), True),
    "join": {"__all__": {"source"}},
}


def prepare(recipe: Recipe, run: Run) -> Prepared:
    """Prepare a recipe's data, or find what was prepared from the same before.

    Args:
        recipe: its sections `data`, `prepare` and `seed` are used.
        run: gets `prepare/` and `findings.json`; encoded splits go to `.cache/prepare/` beside the runs, shared by all.

    Raises:
        DataError: the data cannot be used, or a finding stops the run; `findings.json` is written all the same.
        RecipeError: an option of a column whose type was inferred is wrong.
        StorageError: the disk is full or may not be written.
    """
    begun = time.monotonic()
    with run.progress.task("read data"):
        table = read_data(recipe.data, base=recipe.base)
    pictures = _hashes(table, run.progress)
    inputs = fingerprint(table_hash(table, list(pictures.values())), _sections(recipe), code_version())
    # Raw rows name pictures by their path, so what is cached for them holds in one place only.
    place = fingerprint(inputs, [str(path.absolute()) for path in table.files] if _has_pictures(table) else "")
    noticed: list[Finding] = []
    accept = recipe.prepare.accept
    try:
        folder, built = cached(
            run.folder.parent / ".cache" / "prepare",
            place[:24],
            lambda partial: _Preparation(recipe, table, pictures, noticed, run.progress).build(partial),
            run.progress,
        )
        prepared = _load(folder, inputs, accept)
        noticed = list(prepared.findings)
        reports.refuse(noticed, accept)
    finally:
        reports.write_findings(run.folder / "findings.json", noticed, accept)
    if built or run.finished("prepare", inputs) is None:
        _record(run, prepared, inputs, time.monotonic() - begun)
    return prepared


@dataclass(frozen=True)
class Outlook:
    """What a preparation would come to.

    Attributes:
        schema: the fitted columns.
        sizes: rows in each of `SPLITS`.
        findings: what the audit noticed, errors too.
    """

    schema: Schema
    sizes: Mapping[str, int]
    findings: tuple[Finding, ...]


def outlook(
    recipe: Recipe, progress: Progress, table: Table | None = None, noticed: list[Finding] | None = None
) -> Outlook:
    """Read, split, audit and fit a recipe's data as `prepare` does, but encode and write nothing.

    Args:
        recipe: its sections `data`, `prepare` and `seed` are used.
        progress: told of the work.
        table: the data, where they have been read already.
        noticed: gets the findings, so that they are known even where it ends with an error.

    Raises:
        DataError: the data cannot be used.
        RecipeError: an option of a column whose type was inferred is wrong.
    """
    table = read_data(recipe.data, base=recipe.base) if table is None else table
    noticed = [] if noticed is None else noticed
    preparation = _Preparation(recipe, table, _hashes(table, progress), noticed, progress)
    rows, chosen = preparation.choose()
    return Outlook(preparation.fit(rows, chosen), _sizes(rows.codes), tuple(noticed))


def _hashes(table: Table, progress: Progress) -> dict[str, str]:
    """File → SHA-256, in the files' order."""
    hashes = file_hashes(table.files, progress) if table.files else []
    return dict(zip((str(path) for path in dict.fromkeys(table.files)), hashes, strict=True))


def _sizes(codes: np.ndarray) -> dict[str, int]:
    """Rows in each split."""
    return dict(zip(SPLITS, np.bincount(codes, minlength=len(SPLITS)).tolist(), strict=True))


def _sections(recipe: Recipe) -> dict[str, Any]:
    """What of the recipe changes the outcome: not where the data lies, nor which findings are accepted."""
    return {
        "data": recipe.data.model_dump(mode="json", exclude=_PLACES),
        "prepare": recipe.prepare.model_dump(mode="json", exclude={"accept"}),
        "seed": recipe.seed,
    }


def _has_pictures(table: Table) -> bool:
    return any(path.suffix.lower() in PICTURES for path in table.files)


@dataclass(frozen=True)
class _Rows:
    """The rows in use.

    Attributes:
        table: as they were read.
        target: (N,) parsed, none null.
        inputs: (N,) parsed values of each input column.
        codes: (N,) int8, an index into `SPLITS`.
    """

    table: Table
    target: pl.Series
    inputs: Mapping[str, pl.Series]
    codes: np.ndarray

    @property
    def train(self) -> pl.Series:
        """Places of the training rows."""
        return pl.Series(np.flatnonzero(self.codes == TRAIN))

    def take(self, keep: np.ndarray) -> _Rows:
        """The rows where `keep` (N,) is True."""
        if keep.all():
            return self
        mask = pl.Series(keep)
        inputs = {name: values.filter(mask) for name, values in self.inputs.items()}
        return _Rows(self.table.take(keep), self.target.filter(mask), inputs, self.codes[keep])


class _Preparation:
    """One preparation under way.

    Args:
        recipe: what was asked for.
        table: what was read.
        pictures: file → SHA-256.
        noticed: gets the findings, so that they are known even where it ends with an error.
        progress: told of the work.
    """

    def __init__(
        self, recipe: Recipe, table: Table, pictures: Mapping[str, str], noticed: list[Finding], progress: Progress
    ) -> None:
        self.recipe, self.table, self.pictures, self.noticed, self.progress = recipe, table, pictures, noticed, progress
        self.missing_values = recipe.data.missing_values
        self.target_name = recipe.data.target

    def build(self, folder: Path) -> None:
        """Do it all into an empty folder."""
        rows, chosen = self.choose()
        reports.refuse(self.noticed, self.recipe.prepare.accept)
        schema = self.fit(rows, chosen)
        self._encode(schema, rows, folder)
        self._write(schema, rows, chosen, folder)

    def choose(self) -> tuple[_Rows, Mapping[str, Chosen]]:
        """The rows in use with their splits, audited, and what each column is.

        Raises:
            DataError: they cannot be used; where no column is left to learn from, what there is has been audited.
        """
        self.noticed += self.table.findings
        max_rejected = self.recipe.prepare.max_rejected
        check_rejected(self.table, self.table.num_read, max_rejected)
        with self.progress.task("look at columns"):
            chosen = choose_columns(self.table.frame, self.recipe, self.missing_values)
        self.noticed += ignored_findings(chosen, self.target_name)
        reports.refuse([one for one in self.noticed if one.key.startswith("mixed_values:")], ())
        rows = self._split(self._usable(chosen, max_rejected), chosen)
        with self.progress.task("audit"):
            self.noticed += audit(
                Audited(
                    rows.inputs,
                    chosen,
                    rows.target,
                    rows.codes,
                    rows.table.rows,
                    self.pictures,
                    self._others(rows, chosen),
                    self._unused(rows, chosen),
                    by_chance=isinstance(self.recipe.prepare.split.by, str) and rows.table.split is None,
                )
            )
        check_inputs(chosen, self.target_name)
        return rows, chosen

    def _usable(self, chosen: Mapping[str, Chosen], max_rejected: float) -> _Rows:
        """The rows that can be used."""
        parsed = parse_columns(self.table, chosen, self.missing_values)
        unreadable, self.table = quarantine(self.table, chosen, parsed, self.progress)
        num_read = self.table.num_read - int(unreadable.sum())
        self.noticed += check_rejected(self.table, num_read, max_rejected)
        self.noticed += spelling_findings(parsed, chosen)
        target = parsed.pop(self.target_name)
        missing, findings = missing_target(target, self.table.rows)
        self.noticed += findings
        drop, findings = dropped(parsed, chosen)
        self.noticed += findings
        codes = np.zeros(len(target), np.int8)
        return _Rows(self.table, target, parsed, codes).take(~(unreadable | missing | drop))

    def _split(self, rows: _Rows, chosen: Mapping[str, Chosen]) -> _Rows:
        """The rows with their splits, without those whose class never trains and columns that never train."""
        recipe = self.recipe
        codes, findings = split_rows(self._keys(rows, chosen), recipe.prepare.split, recipe.seed)
        self.noticed += findings
        rows = replace(rows, codes=codes).take(codes != LEFT_OUT)
        codes = rows.codes
        if isinstance(recipe.prepare.split.by, str) and rows.table.split is None:
            self.noticed += find_time_order(rows.inputs, chosen)
        is_class = chosen[self.target_name].type in _CLASSES
        if is_class:
            unseen, findings = unseen_classes(rows.target, codes)
            self.noticed += findings
            rows = rows.take(~unseen)
        check_splits(rows.target, rows.codes, is_class=is_class)
        return self._without_untaught(rows, chosen)

    def _keys(self, rows: _Rows, chosen: Mapping[str, Chosen]) -> Keys:
        by = self.recipe.prepare.split.by
        if not isinstance(by, SplitBy):
            return Keys(rows.target, None, rows.table.split)
        name = by.group or by.time or by.column
        assert name is not None, "the recipe's schema sees to it"
        values = nulled(rows.table.frame[name], self.missing_values)
        return Keys(rows.target, _as_times(values, chosen[name]) if by.time else values, rows.table.split)

    def _without_untaught(self, rows: _Rows, chosen: Mapping[str, Chosen]) -> _Rows:
        """Inputs without those that no training row has a value of; where the recipe types one, its fit will object."""
        train = rows.train
        empty = [
            name
            for name, values in rows.inputs.items()
            if not chosen[name].given and values.gather(train).null_count() == len(train)
        ]
        for name in empty:
            message = f"{name} is missing in all training rows; it is not used"
            remedy = "split otherwise, or leave it out"
            self.noticed.append(
                Finding(key=f"empty:{name}", severity="warning", message=message, columns=(name,), remedy=remedy)
            )
        left = {name: values for name, values in rows.inputs.items() if name not in empty}
        if empty and not left:
            raise DataError(
                f"no input column has values in the training rows: {', '.join(empty[:10])}",
                where="data.columns",
                hint="give columns with values, or split otherwise",
            )
        return replace(rows, inputs=left)

    def _others(self, rows: _Rows, chosen: Mapping[str, Chosen]) -> dict[str, pl.Series]:
        """Columns that are not used for what they are, but tell rows apart."""
        names = [
            one.name for one in chosen.values() if one.type == "ignore" and one.finding in ("text", "high_cardinality")
        ]
        return {name: nulled(rows.table.frame[name], self.missing_values) for name in names}

    def _unused(self, rows: _Rows, chosen: Mapping[str, Chosen]) -> dict[str, pl.Series]:
        """Columns that the inference of types set aside; what the recipe ignores is left alone."""
        names = [one.name for one in chosen.values() if one.type == "ignore" and one.finding]
        return {name: nulled(rows.table.frame[name], self.missing_values) for name in names}

    def fit(self, rows: _Rows, chosen: Mapping[str, Chosen]) -> Schema:
        """Fit every column on the training rows only."""
        train = rows.train
        fitted = []
        with self.progress.task("fit columns", total=len(rows.inputs) + 1) as task:
            for values in (*rows.inputs.values(), rows.target):
                one = chosen[values.name]
                state = one.column.fit(values.gather(train))
                fitted.append(FittedColumn(one.name, one.type, one.options, state))
                task.advance(1)
        self.noticed += outlier_findings(fitted)
        return Schema(tuple(fitted[:-1]), fitted[-1], tuple(self.missing_values))

    def _encode(self, schema: Schema, rows: _Rows, folder: Path) -> None:
        with self.progress.task("encode rows", total=len(rows.codes)) as task:
            for code, name in enumerate(SPLITS):
                part = rows.table.take(rows.codes == code)
                encode_split(schema, part.frame, part.rows, folder / name, task)
                if code != TRAIN:
                    write_raw(schema, part.frame, folder / name / "raw.arrow")

    def _write(self, schema: Schema, rows: _Rows, chosen: Mapping[str, Chosen], folder: Path) -> None:
        """The fitted columns, the figures and the findings."""
        train = rows.train
        values = {one.name: one.gather(train) for one in (*rows.inputs.values(), rows.target)}
        description, arrays = schema.dump()
        write_json(folder / "columns.json", description)
        write_bytes(
            folder / "columns.safetensors", save({name: np.ascontiguousarray(one) for name, one in arrays.items()})
        )
        figures = profile(rows.table.frame[train.to_numpy()], chosen, values, self.missing_values, schema)
        write_json(folder / "profile.json", figures)
        write_json(folder / "findings.json", reports.to_json(self.noticed))
        write_json(folder / "prepare.json", {"sizes": _sizes(rows.codes)})
        if self.table.rejected.height:
            self.table.rejected.sort("row").write_parquet(folder / "rejected.parquet")


def _as_times(values: pl.Series, chosen: Chosen) -> pl.Series:
    """A column to order rows by, as times or numbers. Raises DataError."""
    from danlu.columns.datetime import Datetime
    from danlu.columns.number import Number

    if chosen.type in ("number", "datetime"):
        return chosen.parse(values)
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


def _load(folder: Path, inputs: str, accept: Sequence[str]) -> Prepared:
    """What a preparation wrote."""
    findings = reports.from_json(read_json(folder / "findings.json"))
    return Prepared(
        folder=folder,
        schema=Schema.load(read_json(folder / "columns.json"), load_file(folder / "columns.safetensors")),
        findings=(*findings, *reports.needless(findings, accept)),
        sizes=read_json(folder / "prepare.json")["sizes"],
        fingerprint=inputs,
        profile=read_json(folder / "profile.json"),
    )


def _record(run: Run, prepared: Prepared, inputs: str, seconds: float) -> None:
    """Write the run's own copy of all but the encoded rows."""
    folder = run.step("prepare")
    names = [name for name in ("columns.json", "columns.safetensors", "profile.json", "rejected.parquet")
             if (prepared.folder / name).exists()]  # fmt: skip
    for name in names:
        write_bytes(folder / name, (prepared.folder / name).read_bytes())
    place = os.path.relpath(prepared.folder, run.folder)
    result = {"fingerprint": inputs, "sizes": dict(prepared.sizes), "cache": place}
    write_json(folder / "prepare.json", result)
    run.finish("prepare", inputs, [folder / name for name in (*names, "prepare.json")], result, seconds=seconds)
