"""What data is like before anything is trained: every column, what is missing, what goes together, what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.base.errors import DataError
from danlu.base.progress import Progress
from danlu.columns.column import nulled
from danlu.columns.personal import shape
from danlu.columns.units import unit_in_texts
from danlu.prepare.audit.audited import drawn
from danlu.prepare.choose import Chosen, choose_all, ignored_findings
from danlu.prepare.prepared import Finding
from danlu.prepare.profile import figures_of
from danlu.prepare.relations import Coded, along, coded, relations, target_classes
from danlu.prepare.sources.reading import gathered, read_pieces
from danlu.prepare.sources.remote import fetch
from danlu.prepare.sources.table import Rows, Table
from danlu.prepare.step import outlook
from danlu.recipe.addresses import is_remote, without_secrets
from danlu.recipe.schema import Recipe

# Relations need no more rows than this; they are drawn by chance.
_MOST_ROWS = 5000
# Nor does a first look, which holds all of its rows.
_MOST_ROWS_AT_ALL = 1_000_000
# Columns beside each other in the table of relations.
_MOST_RELATED = 30
_MOST_PATTERNS = 10
_NUM_PICTURES = 12


@dataclass(frozen=True)
class Survey:
    """What data is like.

    Attributes:
        source: its name.
        rows: how many.
        target: the column to predict, or None.
        columns: column → figures, see `profile`.
        findings: what the audit noticed; without a target, what the types alone tell.
        patterns: ("columns" that are missing together, "rows") each, the most frequent first; complete rows too.
        related: names of the columns in `relations`.
        relations: see `relations`.
        classes: the target's most frequent classes; none for numbers.
        against: column → see `along`, and "association".
        pictures: column → some pictures, (H, W, C) uint8, each with its target or the column's name.
    """

    source: str
    rows: int
    target: str | None
    columns: Mapping[str, Mapping[str, Any]]
    findings: tuple[Finding, ...]
    patterns: tuple[Mapping[str, Any], ...] = ()
    related: tuple[str, ...] = ()
    relations: tuple[tuple[float | None, ...], ...] = ()
    classes: tuple[str, ...] = ()
    against: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pictures: Mapping[str, list[tuple[np.ndarray, str]]] = field(default_factory=dict)


def survey(source: Any, target: str | None, *, base: Path, progress: Progress) -> Survey:
    """Look at data as `prepare` would see it, without a recipe; nothing is written.

    Args:
        source: what a recipe's `data` may be.
        target: the column to predict; None takes the source's own, if it has one.
        base: where relative paths begin.
        progress: told of the work.

    Raises:
        DataError: it cannot be read, or has no such column.
    """
    if is_remote(source):
        fetch(source, progress)
    with progress.task("read data"):
        table = _some(gathered(read_pieces(source, base=base), Rows()))
    target = target or table.target
    missing_values = list(Recipe.model_fields["data"].annotation.model_fields["missing_values"].default)  # type: ignore[union-attr]
    frame = table.held
    with progress.task("look at columns"):
        chosen = choose_all(frame, missing_values, target)
    findings = _findings(source, target, base, table, chosen, progress)
    with progress.task("measure columns", total=frame.width) as task:
        values, columns = {}, {}
        for name, one in chosen.items():
            values[name] = _parsed(one, nulled(frame[name], missing_values))
            columns[name] = figures_of(one, values[name]) | _written_unit(one, frame[name])
            task.advance(1)
    with progress.task("compare columns"):
        related, square = _related(chosen, values, target)
        classes, against = _against(chosen, values, target, related, square)
    personal = {name for one in findings if one.key.startswith("personal_data:") for name in one.columns}
    return Survey(
        source=Path(without_secrets(str(source))).name if isinstance(source, (str, Path)) else "frame",
        rows=frame.height,
        target=target,
        columns={name: _masked(one) if name in personal else one for name, one in columns.items()},
        findings=findings,
        patterns=_patterns(values),
        related=related,
        relations=tuple(tuple(row) for row in square),
        classes=tuple(classes),
        against={name: _masked(one) if name in personal else one for name, one in against.items()},
        pictures={
            name: _pictures(one, values[name], values.get(target or ""))
            for name, one in chosen.items()
            if one.type == "image"
        },
    )


def _some(table: Table) -> Table:
    """The table, or rows of a large one drawn by chance, with a note that says so."""
    count = table.frame.height
    if count <= _MOST_ROWS_AT_ALL:
        return table
    places = np.sort(drawn("profile", count, _MOST_ROWS_AT_ALL))
    message = f"{count:,} rows were read; all figures are of {len(places):,} of them, drawn by chance"
    note = Finding(key="sampled", severity="note", message=message, evidence={"rows": count, "drawn": len(places)})
    return replace(table.take(places), findings=(*table.findings, note))


def _masked(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures, or the target along a column, with the column's values as their shape."""
    found = dict(figures)
    if "top" in found:
        found["top"] = [{**one, "value": shape(str(one["value"]))} for one in found["top"]]
    if "bins" in found:
        found["bins"] = [shape(str(one)) for one in found["bins"]]
    return found


def _written_unit(one: Chosen, raw: pl.Series) -> dict[str, str]:
    """The unit that a column's texts carry; a percentage is read as a part of one, and has none."""
    unit = unit_in_texts(raw) if one.type in ("number", "category", "ignore") else ""
    return {"unit": unit} if unit and not (one.type == "number" and unit in "%‰") else {}


def _findings(
    source: Any, target: str | None, base: Path, table: Table, chosen: Mapping[str, Chosen], progress: Progress
) -> tuple[Finding, ...]:
    """What the audit of a run notices; where a run would end with an error, that error."""
    seen = (*table.findings, *ignored_findings(chosen, target or ""))
    if target is None:
        return seen
    recipe = Recipe.model_validate({"data": source, "target": target}).based(base)
    noticed: list[Finding] = []
    try:
        return outlook(recipe, progress, table, noticed).findings
    except DataError as error:
        message = f"a run would end here: {error.message}"
        told = Finding(key="unusable", severity="error", message=message, remedy=error.hint)
        return (told, *(noticed if len(noticed) > len(seen) else seen))


def _parsed(one: Chosen, values: pl.Series) -> pl.Series:
    """Values in the column's own dtype; as they were read where it is not used or cannot be read."""
    if one.type in ("ignore", "image", "audio"):
        return values
    try:
        return one.parse(values)
    except DataError:
        return values


def _related(
    chosen: Mapping[str, Chosen], values: Mapping[str, pl.Series], target: str | None
) -> tuple[tuple[str, ...], list[list[float | None]]]:
    count = len(next(iter(values.values())))
    some = np.sort(seeds.generator(0, "survey").permutation(count)[:_MOST_ROWS])
    names = sorted(chosen, key=lambda name: name != target)
    found: dict[str, Coded] = {}
    for name in names:
        if values[name].dtype == pl.String and chosen[name].type not in ("category", "boolean"):
            continue  # it could not be read as its type
        one = coded(values[name].gather(pl.Series(some)), chosen[name].type)
        if one is not None and len(found) < _MOST_RELATED:
            found[name] = one
    return tuple(found), relations(found)


def _against(
    chosen: Mapping[str, Chosen],
    values: Mapping[str, pl.Series],
    target: str | None,
    related: tuple[str, ...],
    square: list[list[float | None]],
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The target along each column, the strongest first."""
    if target is None or chosen[target].type not in ("number", "category", "boolean"):
        return [], {}
    classes = [] if chosen[target].type == "number" else target_classes(values[target])
    strengths = dict(zip(related, square[0], strict=True)) if related[:1] == (target,) else {}
    found = {}
    for name, one in chosen.items():
        if name == target or one.type == "ignore":
            continue
        drawn = along(values[name], one.type, values[target], classes)
        if drawn is not None:
            found[name] = {**drawn, "association": strengths.get(name)}
    order = sorted(found, key=lambda name: -abs(found[name]["association"] or 0.0))
    return classes, {name: found[name] for name in order}


def _patterns(values: Mapping[str, pl.Series]) -> tuple[dict[str, Any], ...]:
    """Which columns are missing together."""
    missing = {name: one.is_null() for name, one in values.items() if one.null_count()}
    if not missing:
        return ()
    counts = pl.DataFrame(missing).group_by(pl.all()).len("\0rows").sort("\0rows", *missing, descending=True)
    return tuple(
        {"columns": [name for name in missing if row[name]], "rows": row["\0rows"]}
        for row in counts.head(_MOST_PATTERNS).iter_rows(named=True)
    )


def _pictures(one: Chosen, values: pl.Series, target: pl.Series | None) -> list[tuple[np.ndarray, str]]:
    """Some pictures from all over the column; those that cannot be read are left out."""
    known = np.flatnonzero(values.is_not_null().to_numpy())
    found = []
    for row in known[np.unique(np.linspace(0, len(known) - 1, _NUM_PICTURES).astype(int))] if len(known) else ():
        try:
            own = one.parse(values.gather(pl.Series([int(row)])))
            pixels = one.column.encode(own, one.column.fit(own))["pixels"][0]
        except DataError:
            continue
        found.append((pixels, one.name if target is None else str(target[int(row)])))
    return found
