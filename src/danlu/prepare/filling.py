"""`prepare.fill`: are its columns there and of the right types, what its fillers learn, and what they have filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from danlu.base.errors import Fault, RecipeError, nearest
from danlu.columns.column import FittedColumn
from danlu.columns.fillers.filler import Filler, FittedFiller
from danlu.columns.filling import looks_at
from danlu.columns.target import TargetRows
from danlu.prepare.choose import Chosen
from danlu.prepare.prepared import Finding
from danlu.recipe.schema import Recipe


def check_fillers(recipe: Recipe, chosen: Mapping[str, Chosen]) -> None:
    """Raise RecipeError with everything that is wrong with `prepare.fill`, now that the columns' types are known."""
    faults: list[Fault] = []
    for place, choice in enumerate(recipe.prepare.fill):
        filler: Filler = choice.build("fillers")
        found = [*_wrong_columns(filler, chosen, recipe.data.target), *_without_others(filler)]
        faults += [recipe.fault(("prepare", "fill", place, option), text, hint) for option, text, hint in found]
    if faults:
        raise RecipeError(faults)


def _wrong_columns(filler: Filler, chosen: Mapping[str, Chosen], target: str) -> list[tuple[str, str, str]]:
    """(option, message, hint) for each column that a filler names and cannot use."""
    found, seen = [], set()
    for option, types in filler.takes().items():
        given = getattr(filler, option)
        for name in (given,) if isinstance(given, str) else given:
            wrong = (
                ("names it twice", "keep one") if name in seen else _wrong_column(name, option, types, chosen, target)
            )
            if wrong:
                found.append((option, f"is {name}: {wrong[0]}", wrong[1]))
            seen.add(name)
    return found


def _wrong_column(
    name: str, option: str, types: Sequence[str], chosen: Mapping[str, Chosen], target: str
) -> tuple[str, str] | None:
    """What is wrong with one column, and the remedy."""
    if name not in chosen:
        near = nearest(name, list(chosen))
        return "there is no such column", f"did you mean {near}?" if near else "name a column of the data"
    if name == target:
        return "this is the target, which is never filled and not known when it is asked for", "name an input"
    one = chosen[name]
    if one.type == "ignore":
        return "the column is not used", f"give {name} a type in data.columns"
    if one.type not in types:
        return f"the column is a {one.type}; this takes {' or '.join(types)}", "take another filler, column or option"
    if option == "columns" and one.options.get("missing") == "drop":
        return (
            "rows without it are dropped, so that there is nothing to fill",
            f"set data.columns.{name}.missing otherwise, or leave it out here",
        )
    return None


def _without_others(filler: Filler) -> list[tuple[str, str, str]]:
    """A fault where a column would be filled by itself alone."""
    if all(set(filler.looks_at()) - {name} for name in filler.columns):
        return []
    return [("columns", "is one column, with nothing to fill it by", "name others in `by`")]


def fit_fillers(
    recipe: Recipe, chosen: Mapping[str, Chosen], inputs: Mapping[str, pl.Series], is_train: pl.Series
) -> tuple[FittedFiller, ...]:
    """Fit the recipe's fillers on the training rows only.

    Args:
        recipe: its `prepare.fill`.
        chosen: every column's type and options.
        inputs: (N,) parsed values of each input column.
        is_train: (N,) bool.

    Raises:
        RecipeError: a filler names a column that it cannot use, or of which no training row has a value.
        DataError: a filler has nothing to learn from, or more than it can keep.
    """
    check_fillers(recipe, chosen)
    fitted = []
    for place, choice in enumerate(recipe.prepare.fill):
        filler: Filler = choice.build("fillers")
        names = tuple(dict.fromkeys((*filler.columns, *filler.looks_at())))
        if absent := [name for name in names if name not in inputs]:
            message = f"names {', '.join(absent)}, of which no training row has a value"
            raise RecipeError([recipe.fault(("prepare", "fill", place), message, "leave it out, or split otherwise")])
        state = filler.fit({name: inputs[name].filter(is_train) for name in names})
        fitted.append(FittedFiller(choice.name, choice.options, state))
    return tuple(fitted)


def target_rows(target: FittedColumn, values: pl.Series, rows: np.ndarray, seed: int) -> TargetRows:
    """What inputs that learn from the target are given.

    Args:
        target: the fitted target.
        values: (N,) parsed values of the training rows.
        rows: (N,) their numbers in the source.
        seed: the recipe's.
    """
    (field,) = target.fields
    return TargetRows(target.column.encode(values, target.state)[field.name], field.num_codes, rows, seed)


def filled_findings(
    columns: Sequence[FittedColumn],
    fillers: Sequence[FittedFiller],
    inputs: Mapping[str, pl.Series],
    is_train: pl.Series,
) -> list[Finding]:
    """A note for each column with fillers: how many training rows each of them has filled.

    Args:
        columns: the input columns.
        fillers: the fitted fillers.
        inputs: (N,) parsed values of each input column.
        is_train: (N,) bool.
    """
    found = []
    for column in columns:
        own = [one for one in fillers if column.name in one.filler.columns]
        if own:
            parsed = {name: inputs[name].filter(is_train) for name in looks_at(column.name, own)}
            found.append(_filled(column, own, parsed))
    return found


def _filled(column: FittedColumn, fillers: Sequence[FittedFiller], parsed: Mapping[str, pl.Series]) -> Finding:
    name, values = column.name, parsed[column.name]
    missing = values.null_count()
    counts: dict[str, int] = {}
    for filler in fillers:
        before = values.null_count()
        values = filler.fill(values, parsed)
        counts[filler.name] = counts.get(filler.name, 0) + before - values.null_count()
    left = values.null_count()
    ways = [f"{count:,} by {way}" for way, count in counts.items()]
    ways += [f"{left:,} by its own `missing` ({column.options.get('missing')})"] * (left > 0)
    notes = [note for filler in fillers if (note := filler.filler.notes(filler.state))]
    return Finding(
        key=f"filled:{name}",
        severity="note",
        message=f"{name}: {missing:,} of {len(values):,} training rows are missing; filled: {', '.join(ways)}"
        + "".join(f"; {note}" for note in notes),
        columns=(name,),
        remedy="if few are filled, take other columns in `by`, or another filler" if left else "",
        evidence={"missing": missing, "filled": counts, "left": left},
    )
