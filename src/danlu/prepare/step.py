"""Step 1: from whatever holds rows to encoded splits, fitted columns and findings.

read → choose types → leave out what cannot be used → split → audit → fit on the training rows → encode
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save

from danlu.base.errors import DataError
from danlu.base.files import code_version, fingerprint, read_json, write_bytes, write_json
from danlu.base.progress import Progress
from danlu.base.runs import Run
from danlu.columns.column import FittedColumn, Schema, nulled
from danlu.prepare import findings as reports
from danlu.prepare.audit import Audited, audit
from danlu.prepare.cache import cached
from danlu.prepare.choose import Chosen, choose_columns, ignored_findings
from danlu.prepare.encode import encode_split, write_raw
from danlu.prepare.prepared import SPLITS, Finding, Prepared
from danlu.prepare.profile import profile
from danlu.prepare.rows import (
    check_rejected,
    check_splits,
    dropped,
    parse_inputs,
    quarantine,
    unseen_classes,
    with_target,
)
from danlu.prepare.sources.reading import file_hashes, read_data, table_hash
from danlu.prepare.sources.table import Table
from danlu.prepare.splits import TRAIN, Keys, split_rows
from danlu.recipe.schema import Recipe, SplitBy

_CLASSES = ("category", "boolean")


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
    table = read_data(recipe.data, base=recipe.base)
    hashes = file_hashes(table.files, run.progress) if table.files else []
    inputs = fingerprint(table_hash(table, hashes), _sections(recipe), code_version())
    # Raw rows name pictures by their path, so what is cached for them holds in one place only.
    place = fingerprint(inputs, [str(path.absolute()) for path in table.files] if _has_pictures(table) else "")
    pictures = dict(zip((str(path) for path in dict.fromkeys(table.files)), hashes, strict=True))
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


def _sections(recipe: Recipe) -> dict[str, Any]:
    """What of the recipe changes the outcome: not where the data lies, nor which findings are accepted."""
    return {
        "data": recipe.data.model_dump(mode="json", exclude={"source", "train", "validation", "test"}),
        "prepare": recipe.prepare.model_dump(mode="json", exclude={"accept"}),
        "seed": recipe.seed,
    }


def _has_pictures(table: Table) -> bool:
    return len(table.files) > 1


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
        self.noticed += self.table.findings
        if not self.table.frame.height:
            check_rejected(self.table, self.recipe.prepare.max_rejected)
        chosen = choose_columns(self.table.frame, self.recipe, self.missing_values)
        self.noticed += ignored_findings(chosen, self.target_name)
        table, target, parsed = self._usable(chosen)
        codes, findings = split_rows(self._keys(table, target, chosen), self.recipe.prepare.split, self.recipe.seed)
        self.noticed += findings
        is_class = chosen[self.target_name].type in _CLASSES
        if is_class:
            unseen, findings = unseen_classes(target, codes)
            self.noticed += findings
            table, target, parsed = _take(~unseen, table, target, parsed)
            codes = codes[~unseen]
        check_splits(target, codes, is_class=is_class)
        parsed = self._without_untaught(parsed, chosen, codes)
        self.noticed += audit(Audited(parsed, chosen, target, codes, table.rows, self.pictures))
        reports.refuse(self.noticed, self.recipe.prepare.accept)
        schema = self._fit(parsed, target, chosen, codes)
        self._encode(schema, table, codes, folder)
        self._write(schema, table, chosen, parsed, target, codes, folder)

    def _usable(self, chosen: Mapping[str, Chosen]) -> tuple[Table, pl.Series, dict[str, pl.Series]]:
        """The rows that can be used, with their parsed targets and inputs."""
        table = quarantine(self.table, chosen, self.target_name, self.progress)
        self.table = table
        self.noticed += check_rejected(table, self.recipe.prepare.max_rejected)
        table, target, findings = with_target(table, chosen[self.target_name], self.missing_values)
        self.noticed += findings
        parsed = parse_inputs(table, chosen, self.target_name, self.missing_values)
        drop, findings = dropped(parsed, chosen)
        self.noticed += findings
        return _take(~drop, table, target, parsed)

    def _keys(self, table: Table, target: pl.Series, chosen: Mapping[str, Chosen]) -> Keys:
        by = self.recipe.prepare.split.by
        if not isinstance(by, SplitBy):
            return Keys(target, None, table.split)
        name = by.group or by.time or by.column
        assert name is not None
        values = nulled(table.frame[name], self.missing_values)
        return Keys(target, _as_times(values, chosen[name]) if by.time else values, table.split)

    def _without_untaught(
        self, parsed: dict[str, pl.Series], chosen: Mapping[str, Chosen], codes: np.ndarray
    ) -> dict[str, pl.Series]:
        """Inputs without those that no training row has a value of (unless the recipe types them: then the fit objects)."""
        train = pl.Series(codes == TRAIN)
        empty = [
            name for name, values in parsed.items() if not chosen[name].given and values.filter(train).is_null().all()
        ]
        for name in empty:
            message = f"{name} is missing in all training rows; it is not used"
            remedy = "split otherwise, or leave it out"
            self.noticed.append(
                Finding(key=f"empty:{name}", severity="warning", message=message, columns=(name,), remedy=remedy)
            )
        left = {name: values for name, values in parsed.items() if name not in empty}
        if not left:
            raise DataError(
                f"no input column has values in the training rows: {', '.join(empty[:10])}",
                where="data.columns",
                hint="give columns with values, or split otherwise",
            )
        return left

    def _fit(
        self, parsed: Mapping[str, pl.Series], target: pl.Series, chosen: Mapping[str, Chosen], codes: np.ndarray
    ) -> Schema:
        """Fit every column on the training rows only."""
        train = pl.Series(np.flatnonzero(codes == TRAIN))
        fitted = []
        with self.progress.task("fit columns", total=len(parsed) + 1) as task:
            for values in (*parsed.values(), target):
                one = chosen[values.name]
                state = one.column.fit(values.gather(train))
                fitted.append(FittedColumn(one.name, one.type, one.options, state))
                task.advance(1)
        return Schema(tuple(fitted[:-1]), fitted[-1], tuple(self.missing_values))

    def _encode(self, schema: Schema, table: Table, codes: np.ndarray, folder: Path) -> None:
        with self.progress.task("encode rows", total=table.frame.height) as task:
            for code, name in enumerate(SPLITS):
                part = table.take(codes == code)
                encode_split(schema, part.frame, part.rows, folder / name, task)
                if code != TRAIN:
                    write_raw(schema, part.frame, folder / name / "raw.arrow")

    def _write(
        self,
        schema: Schema,
        table: Table,
        chosen: Mapping[str, Chosen],
        parsed: Mapping[str, pl.Series],
        target: pl.Series,
        codes: np.ndarray,
        folder: Path,
    ) -> None:
        """The fitted columns, the figures and the findings."""
        train = pl.Series(np.flatnonzero(codes == TRAIN))
        values = {name: one.gather(train) for name, one in {**parsed, target.name: target}.items()}
        description, arrays = schema.dump()
        write_json(folder / "columns.json", description)
        write_bytes(
            folder / "columns.safetensors", save({name: np.ascontiguousarray(one) for name, one in arrays.items()})
        )
        write_json(folder / "profile.json", profile(table.frame[train.to_numpy()], chosen, values, self.missing_values))
        write_json(folder / "findings.json", reports.to_json(self.noticed))
        sizes = np.bincount(codes, minlength=3).tolist()
        write_json(folder / "prepare.json", {"sizes": dict(zip(SPLITS, sizes, strict=True))})
        if self.table.rejected.height:
            self.table.rejected.sort("row").write_parquet(folder / "rejected.parquet")


def _take(
    keep: np.ndarray, table: Table, target: pl.Series, parsed: Mapping[str, pl.Series]
) -> tuple[Table, pl.Series, dict[str, pl.Series]]:
    if keep.all():
        return table, target, dict(parsed)
    mask = pl.Series(keep)
    return table.take(keep), target.filter(mask), {name: one.filter(mask) for name, one in parsed.items()}


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
        f"{values.name} holds neither times nor numbers ({values.drop_nulls().head(1).to_list()}), so it cannot order rows",
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
