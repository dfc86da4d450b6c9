"""Step 1: from whatever holds rows to encoded splits, fitted columns and findings.

read → look (`looking.py`) → fit and encode column by column (`fitting.py`) → pack into splits (`encode.py`)

What a large table was looked at to be, and each of its encoded columns, are kept beside the encoded splits: where the
recipe changes how one column is scaled, that column is encoded again and no other; a killed run goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save

from danlu.base.files import code_version, fingerprint, hash_file, read_json, write_bytes, write_json
from danlu.base.progress import Progress
from danlu.base.runs import Run
from danlu.columns.column import FittedColumn
from danlu.columns.decoded import decoded_once
from danlu.columns.gathered import Gathered
from danlu.columns.masking import Masks
from danlu.columns.schema import Schema
from danlu.prepare import findings as reports
from danlu.prepare.cache import cached, partial_folder
from danlu.prepare.choose import needing, tokenizer_file, told_target
from danlu.prepare.columnar import Columns
from danlu.prepare.encode import write_raw, write_splits
from danlu.prepare.filling import filled_findings
from danlu.prepare.fitting import Beside, fit_beside, fit_column, fit_columns
from danlu.prepare.looked import MIN_ROWS, Looked, early_sections, load_looked, write_looked
from danlu.prepare.mask import Masking, mask_key, masks_of
from danlu.prepare.prepared import SPLITS, Finding, Prepared
from danlu.prepare.profile import figures_now
from danlu.prepare.shipping import side_tables
from danlu.prepare.sources.hashing import file_hashes, plain_hash, table_hash
from danlu.prepare.sources.reading import read_data
from danlu.prepare.sources.remote import fetch_all
from danlu.prepare.sources.table import FILES, Table
from danlu.prepare.start import known_columns, read_start, start_finding, typed_as
from danlu.prepare.values import cut_findings, outlier_findings
from danlu.recipe.schema import Recipe
from danlu.recipe.writing import without_places


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
    noticed: list[Finding] = []
    accept = recipe.prepare.accept
    with contextlib.ExitStack() as stack:
        preparation = _Preparation(recipe, run.progress, run.folder.parent / ".cache" / "prepare", noticed, stack)
        inputs = preparation.find_inputs()
        try:
            folder, built = preparation.prepared()
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
    with decoded_once():
        return _outlook(recipe, progress, table, [] if noticed is None else noticed)


def _outlook(recipe: Recipe, progress: Progress, table: Table | None, noticed: list[Finding]) -> Outlook:
    masking = Masking(recipe)
    if table is None:
        fetch_all(recipe.data, progress)
        table = masking.told(read_data(recipe.data, base=recipe.base, masked=masking.rows))
    from danlu.prepare.looking import Looking

    start = read_start(recipe)
    typed = typed_as(start, recipe, table.frame.columns)
    looked = Looking(typed, table, _hashes(table, progress), noticed, progress).look()
    known = known_columns(start, recipe, looked)
    target = known.get(looked.target_name) or fit_column(looked.chosen[looked.target_name], looked, None)
    beside = fit_beside(looked, target, recipe)
    fitted = [known.get(name) or fit_column(looked.chosen[name], looked, beside) for name in looked.inputs]
    noticed += [start_finding(start, known, looked)] if start else []
    noticed += [*outlier_findings([*fitted, target]), *cut_findings(fitted), *_filled(fitted, beside, looked)]
    masks = _masks(recipe, [*fitted, target], table.gathered)
    sides = side_tables(recipe, [one.name for one in fitted])
    schema = Schema(
        tuple(fitted), target, tuple(recipe.data.missing_values), beside.fillers, masks, sides, table.gathered
    )
    return Outlook(schema, _sizes(looked.codes), tuple(noticed))


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
        "data": without_places(recipe.data.model_dump(mode="json")),
        "prepare": recipe.prepare.model_dump(mode="json", exclude={"accept"}),
        "seed": recipe.seed,
        "mask_key": mask_key(recipe),
        **needing(recipe.design),
        **({"told_target": dict(told)} if (told := told_target(recipe)) else {}),
        **({"tokenizers": read} if (read := _tokenizers(recipe)) else {}),
    }


def _tokenizers(recipe: Recipe) -> dict[str, str]:
    """Column → hash of the tokenizer's file that the recipe names for it."""
    files = {name: tokenizer_file(said, recipe) for name, said in recipe.data.columns.items()}
    return {name: hash_file(file) for name, file in files.items() if file is not None}


def _masks(recipe: Recipe, fitted: Sequence[FittedColumn], series: Sequence[Gathered]) -> Masks:
    """The masks of the columns that are used, those that series are made of among them."""
    return masks_of(recipe).only([*(one.name for one in fitted), *(name for one in series for name in one.columns)])


def _has_pictures(table: Table) -> bool:
    return any(path.suffix.lower() in (*FILES, ".zip") for path in table.files)


class _Preparation:
    """One preparation under way.

    Args:
        recipe: what was asked for.
        progress: told of the work.
        root: the folder of all that is kept.
        noticed: gets the findings, so that they are known even where it ends with an error.
        stack: holds what is to be removed in the end.
    """

    def __init__(
        self, recipe: Recipe, progress: Progress, root: Path, noticed: list[Finding], stack: contextlib.ExitStack
    ) -> None:
        self.recipe, self.progress, self.root, self.noticed, self.stack = recipe, progress, root, noticed, stack
        self.start = read_start(recipe)
        self.table: Table | None = None
        self.hashes: dict[str, str] = {}
        self.source = ""

    def find_inputs(self) -> str:
        """Fingerprint of all that goes in. Reads the data, but for large plain files that were looked at before."""
        self.source = plain_hash(self.recipe.data, base=self.recipe.base)
        if self.source and any((self.root / key).is_dir() for key in (self._key(), self._looked_key())):
            return self._inputs()
        table = self._read()
        if not self.source or _has_pictures(table):
            self.source = table_hash(table, list(self.hashes.values()))
        return self._inputs()

    def _read(self) -> Table:
        if self.table is None:
            self.root.mkdir(parents=True, exist_ok=True)
            folder = self.stack.enter_context(partial_folder(self.root, "rows"))
            with self.progress.task("read data"):
                masking = Masking(self.recipe)
                table = read_data(self.recipe.data, base=self.recipe.base, folder=folder, masked=masking.rows)
                self.table = masking.told(table)
            self.hashes = _hashes(self.table, self.progress) if not self.source or _has_pictures(self.table) else {}
        return self.table

    def _inputs(self) -> str:
        started = [self.start.columns_hash] if self.start else []
        return fingerprint(self.source, _sections(self.recipe), code_version(), *started)

    def _key(self) -> str:
        # Raw rows name pictures by their path, so what is cached for them holds in one place only.
        files = self.table.files if self.table is not None and _has_pictures(self.table) else ()
        return fingerprint(self._inputs(), [str(path.absolute()) for path in files] if files else "")[:24]

    def _looked_key(self) -> str:
        sections, started = early_sections(self.recipe, _sections(self.recipe)), self.start and self.start.columns_hash
        early = fingerprint(self.source, sections, code_version(), *([started] if started else []))
        return f"looked-{early[:24]}"

    def prepared(self) -> tuple[Path, bool]:
        """The folder of encoded splits, and whether it was built now. Raises DataError, RecipeError, StorageError."""
        return cached(self.root, self._key(), self._build, self.progress)

    def _build(self, folder: Path) -> None:
        """Do it all into an empty folder."""
        with decoded_once(self.root):
            self._build_into(folder)

    def _build_into(self, folder: Path) -> None:
        kept = (self.root / self._looked_key()).is_dir() or _is_large(self._read())
        if kept:
            place, _ = cached(self.root, self._looked_key(), self._look, self.progress)
            looked, findings = load_looked(place, typed_as(self.start, self.recipe))
            self.noticed[:] = findings
            _link(place, folder, ("validation", "test", "rejected.parquet"))
        else:
            looked, _ = self._looked(folder, None)
        reports.refuse(self.noticed, self.recipe.prepare.accept)
        self._finish(looked, folder, self.root if kept else None)

    def _look(self, folder: Path) -> None:
        """Look at a large table, and keep what was seen. Raises DataError, RecipeError."""
        looked, parsed = self._looked(folder, folder)
        write_looked(folder, looked, parsed, self.noticed)

    def _looked(self, folder: Path, columns: Path | None) -> tuple[Looked, Columns]:
        """What is seen of the rows, those that are kept raw written to a folder; parsed columns go to `columns`."""
        # Imported here: where everything is found again nothing is looked at.
        from danlu.prepare.looking import Looking

        table = self._read()
        recipe = typed_as(self.start, self.recipe, table.frame.columns)
        looking = Looking(recipe, table, self.hashes, self.noticed, self.progress, columns)
        looked = looking.look()
        reports.refuse(self.noticed, self.recipe.prepare.accept)
        names = [*looked.inputs, looked.target_name]
        write_raw(looking.table.frame, names, looking.places, looked.codes, folder)
        if looking.table.rejected.height:
            looking.table.rejected.sort("row").write_parquet(folder / "rejected.parquet")
        return looked, looking.parsed

    def _finish(self, looked: Looked, folder: Path, root: Path | None) -> None:
        """Fit, encode, pack and write."""
        known = known_columns(self.start, self.recipe, looked)
        key = self._looked_key() + (self.start.columns_hash if self.start else "")
        encoded, beside = fit_columns(looked, self.recipe, root, key, self.progress, known)
        if self.start:
            self.noticed.append(start_finding(self.start, known, looked))
        *fitted, target = [one.fitted for one in encoded]
        self.noticed += [*outlier_findings([*fitted, target]), *cut_findings(fitted), *_filled(fitted, beside, looked)]
        series = self._read().gathered if self.recipe.data.series else ()
        masks = _masks(self.recipe, [*fitted, target], series)
        sides = side_tables(self.recipe, [one.name for one in fitted])
        missing_values = tuple(self.recipe.data.missing_values)
        schema = Schema(tuple(fitted), target, missing_values, beside.fillers, masks, sides, series)
        with self.progress.task("pack rows", total=len(looked.codes)) as task:
            write_splits(schema, encoded, looked.inputs, looked.codes, looked.rows, folder, task)
        description, arrays = schema.dump()
        write_json(folder / "columns.json", description, sync=False)
        packed = save({name: np.ascontiguousarray(one) for name, one in arrays.items()})
        write_bytes(folder / "columns.safetensors", packed, sync=False)
        write_json(folder / "profile.json", figures_now(looked.figures, looked.chosen, schema), sync=False)
        write_json(folder / "findings.json", reports.to_json(self.noticed), sync=False)
        write_json(folder / "prepare.json", {"sizes": _sizes(looked.codes)}, sync=False)


def _filled(fitted: Sequence[FittedColumn], beside: Beside, looked: Looked) -> list[Finding]:
    return filled_findings(fitted, beside.fillers, looked.inputs, pl.Series(looked.is_train))


def _is_large(table: Table) -> bool:
    """Whether what is seen of a table is worth keeping: many rows, and no pictures, which are kept encoded only."""
    return table.frame.height >= MIN_ROWS and not _has_pictures(table) and not table.holds_pictures


def _link(source: Path, folder: Path, names: Sequence[str]) -> None:
    """Files and folders that are the same in both places, without a copy where the file system can."""
    for name in names:
        for path in sorted(source.glob(f"{name}/raw/*")) or sorted(source.glob(name)):
            if path.is_file():
                target = folder / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, target)
                except OSError:
                    target.write_bytes(path.read_bytes())


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
