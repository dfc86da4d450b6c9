"""What type and options every column has: what the recipe says, and the rest inferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from danlu import catalog
from danlu.base.errors import DataError, Fault, RecipeError, nearest
from danlu.base.registry import build, validate
from danlu.columns.column import Column, nulled
from danlu.columns.inference import Inferred, infer
from danlu.columns.text import OWN
from danlu.prepare.columnar import Frame, parts
from danlu.prepare.prepared import Finding
from danlu.recipe.components import Choice
from danlu.recipe.schema import ColumnRecipe, Design, Recipe, SplitBy
from danlu.recipe.sections import encoder_of

# A target's options unless the recipe says otherwise: a target is never guessed, an unknown class never taught.
_TARGET_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "category": {"missing": "drop", "unseen": "error"},
    "boolean": {"missing": "drop"},
    "number": {"missing": "drop", "indicator": False, "scale": "standard"},
    "set": {"missing": "drop"},
}
# Options with their defaults that a target cannot have otherwise: they would change the truth, or what is decoded.
_INPUT_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "number": {"outliers": "none"},
    "category": {"order": None, "num_hashes": None, "encoding": "code", "indicator": False},
    "boolean": {"indicator": False},
}


@dataclass(frozen=True)
class Chosen:
    """One column's type and options.

    Attributes:
        name: as in the data.
        type: name in the catalogue's family `columns`.
        options: whole options, defaults filled in.
        inferred: the options that were inferred and are not defaults.
        found: what its values say; None where the recipe gives the type.
    """

    name: str
    type: str
    options: Mapping[str, Any]
    inferred: Mapping[str, Any]
    found: Inferred | None = None

    @property
    def given(self) -> bool:
        """Whether the recipe says the type."""
        return self.found is None

    @property
    def note(self) -> str:
        """Why this type was inferred."""
        return self.found.note if self.found else ""

    @property
    def finding(self) -> str:
        """Key of what the inference noticed ("id", "constant", …), or ""."""
        return self.found.finding_key if self.found else ""

    @cached_property
    def column(self) -> Column:
        """The column type with its options."""
        column: Column = build(catalog.find("columns", self.type), dict(self.options))
        return column

    def parse(self, values: pl.Series) -> pl.Series:
        """Values (blanks already nulls) in the column's own dtype. Raises DataError."""
        return self.column.parse(values).alias(self.name)


def choose_columns(frame: pl.DataFrame, recipe: Recipe, missing_values: list[str]) -> dict[str, Chosen]:
    """Every column's type and options, in the data's order, the target included.

    Raises:
        DataError: the target or a column that the recipe names is absent.
        RecipeError: an option that an inferred type does not have, or out of its range.
    """
    check_names(frame, recipe)
    chosen: dict[str, Chosen] = {}
    faults: list[Fault] = []
    for values in frame.get_columns():
        name = values.name
        try:
            chosen[name] = choose_column(
                nulled(values, missing_values),
                said_of(name, recipe),
                is_target=name == recipe.data.target,
                design=recipe.design,
            )
        except ValidationError as error:
            faults += [column_fault(name, one) for one in error.errors()]
    if faults:
        raise RecipeError(faults)
    check_target(chosen[recipe.data.target])
    check_roles(chosen, recipe.data.target)
    return chosen


def said_of(name: str, recipe: Recipe) -> ColumnRecipe:
    """What the recipe says of a column; one that says which rows go where is no input unless the recipe types it."""
    said = recipe.data.columns.get(name, ColumnRecipe())
    by = recipe.prepare.split.by
    if isinstance(by, SplitBy) and name in (by.group, by.column) and said.type is None and name != recipe.data.target:
        return ColumnRecipe(type="ignore")
    if recipe.data.pair and name not in (*recipe.data.pair, recipe.data.target):
        return ColumnRecipe(type="ignore")
    if name == recipe.data.target and (options := told_target(recipe)):
        return ColumnRecipe(type=said.type, options={**options, **said.options})
    if file := tokenizer_file(said, recipe):
        return said.model_copy(update={"options": {**said.options, "tokenizer": str(file)}})
    return said


def tokenizer_file(said: ColumnRecipe, recipe: Recipe) -> Path | None:
    """The file that a column's `tokenizer` names, from the recipe's folder on; None where it names none."""
    named = said.options.get("tokenizer")
    if not isinstance(named, str) or named in OWN:
        return None
    file = recipe.base / Path(named).expanduser()
    return file if file.is_file() else None


def told_target(recipe: Recipe) -> Mapping[str, Any]:
    """The options that the target has because of the loss: the quantiles that are to be answered."""
    choice = recipe.train.loss
    if not isinstance(choice, Choice) or not hasattr(catalog.find("losses", choice.name), "target_options"):
        return {}
    options: Mapping[str, Any] = choice.build("losses").target_options
    return options


def check_inputs(chosen: Mapping[str, Chosen], target: str) -> None:
    """Raise DataError where no column is left to predict the target from."""
    if all(one.type == "ignore" for name, one in chosen.items() if name != target):
        raise DataError(
            f"no column is left to predict {target} from: "
            + "; ".join(
                f"{one.name}: {one.note or 'ignored'}" for one in list(chosen.values())[:10] if one.type == "ignore"
            ),
            where="data.columns",
            hint="give a column a type in data.columns",
        )


def choose_all(frame: pl.DataFrame, missing_values: list[str], target: str | None) -> dict[str, Chosen]:
    """Every column's inferred type and options, without a recipe. Raises DataError where the target is absent."""
    if target is not None and target not in frame.columns:
        near = nearest(target, frame.columns)
        raise DataError(
            f"there is no column {target}; there are {', '.join(frame.columns[:20])}",
            where=f"column {target}",
            hint=f"did you mean {near}?" if near else "name a column of the data",
        )
    return {
        values.name: choose_column(nulled(values, missing_values), ColumnRecipe(), is_target=values.name == target)
        for values in frame.get_columns()
    }


def check_target(target: Chosen) -> None:
    """Raise DataError where the target is not used, or has an option that only an input can have."""
    for option, default in _INPUT_OPTIONS.get(target.type, {}).items():
        if target.options[option] != default:
            raise DataError(
                f"data.columns.{target.name}.{option} is {target.options[option]}; only an input can have it, "
                f"and {target.name} is the target",
                where=f"column {target.name}",
                hint=f"take {option} out",
            )
    if target.type in ("image", "audio", "series", "text", "tokens"):
        raise DataError(
            f"the target {target.name} is of type {target.type}, which cannot be predicted yet",
            where=f"column {target.name}",
            hint="choose a number, category or boolean column as target",
        )
    if target.type != "ignore":
        return
    if target.finding == "empty":
        message, hint = f"every value of the target {target.name} is missing", "name a target that has values"
    else:
        message = f"the target {target.name} is not used: {target.note or 'data.columns sets it to ignore'}"
        hint = f"name another target, or give {target.name} a type in data.columns"
    raise DataError(message, where=f"column {target.name}", hint=hint)


def check_roles(chosen: Mapping[str, Chosen], target: str) -> None:
    """Raise DataError where an input has a type or an option that only a target can have."""
    for name, one in chosen.items():
        if name == target or not (one.type in ("tags", "pair") or one.options.get("quantiles")):
            continue
        what = "to be answered in quantiles" if one.options.get("quantiles") else f"of type {one.type}"
        raise DataError(
            f"{name} is {what}, which only the target can be; that is {target}",
            where=f"data.columns.{name}",
            hint="take its option quantiles out" if one.options.get("quantiles") else "make it tokens, or ignore",
        )


def check_names(frame: Frame, recipe: Recipe) -> None:
    """Raise DataError where the recipe names a column that is not there, RecipeError for one beside a pair."""
    if pair := recipe.data.pair:
        own = (*pair, recipe.data.target)
        beside = [name for name, one in recipe.data.columns.items() if one.type != "ignore" and name not in own]
        message = f"is not of data.pair: {pair[0]} and {pair[1]} are learned from each other alone"
        faults = [recipe.fault(("data", "columns", name), message, "take it out, or say ignore") for name in beside]
        if faults:
            raise RecipeError(faults)
    said = {"data.target": [recipe.data.target], "data.columns": list(recipe.data.columns)}
    by = recipe.prepare.split.by
    if isinstance(by, SplitBy):
        said["prepare.split.by"] = list(by.names)
    if recipe.data.pair:
        said["data.pair"] = list(recipe.data.pair)
    absent = [(option, name) for option, names in said.items() for name in names if name not in frame.columns]
    if not absent:
        return
    option, name = absent[0]
    near = nearest(name, frame.columns)
    others = ", ".join(sorted({other for _, other in absent[1:]} - {name}))
    hint = f"did you mean {near}?" if near else "name a column of the data"
    texts = next(parts(frame, frame.columns)).head(1).select(pl.col(pl.String))
    if "column_1" in frame.columns and any(name in row for row in texts.rows()):
        hint = "the first line was taken for a row; if it names the columns, set data.reader: {name: csv, header: true}"
    raise DataError(
        f"{option} names {name}, which is not a column of the data; there are {', '.join(frame.columns[:20])}"
        + (", …" if frame.width > 20 else "")
        + (f" (nor are {others})" if others else ""),
        where=f"column {name}",
        hint=hint,
    )


def choose_column(values: pl.Series, said: ColumnRecipe, *, is_target: bool, design: Design | None = None) -> Chosen:
    """One column's type and options.

    Args:
        values: (N,) as read, blanks already nulls.
        said: what the recipe says of it.
        is_target: whether it is to be predicted.
        design: the recipe's encoders, which may need their columns to have options; None where there is no recipe.

    Raises:
        ValidationError: of pydantic: an option is not one of the type's, or out of its range.
    """
    if said.type is not None:
        return combined(values.name, said, None, is_target=is_target, design=design)
    found = infer(values, is_target=is_target, name=values.name)
    chosen = combined(values.name, said, found, is_target=is_target, design=design)
    if found.finding_key != "mixed_values":
        return chosen
    note = found.note + _first_place(chosen.column, values)
    return combined(values.name, said, replace(found, note=note), is_target=is_target, design=design)


def combined(
    name: str, said: ColumnRecipe, found: Inferred | None, *, is_target: bool, design: Design | None = None
) -> Chosen:
    """What the recipe says of a column and what its values say.

    Args:
        name: the column's.
        said: what the recipe says.
        found: what its values say; None where the recipe gives the type.
        is_target: whether it is to be predicted.
        design: see `choose_column`.

    Raises:
        ValidationError: of pydantic: an option is not one of the type's, or out of its range.
    """
    kind = said.type or (found.type if found else "ignore")
    inferred = {**(found.options if found else {}), **(_TARGET_OPTIONS.get(kind, {}) if is_target else {})}
    if design and not is_target:
        inferred |= _needed(design, name, kind)
    if {"order", "num_hashes"} & set(said.options):
        inferred.pop("min_count", None)  # what was inferred for a vocabulary
    component = catalog.find("columns", kind)
    whole = validate(component, {**inferred, **said.options})
    defaults = validate(component, {}) if inferred else {}
    own = {option: value for option, value in inferred.items() if option not in said.options}
    own = {option: value for option, value in own.items() if defaults.get(option) != value}
    return Chosen(name, kind, whole, own, found)


def _needed(design: Design, name: str, kind: str) -> Mapping[str, Any]:
    """The options that the fusion, and the encoder which the recipe names for a column, need it to have."""
    needed: dict[str, Any] = dict(design.fusion.build("fusions").column_options(kind))
    _, choice = encoder_of(design, name, kind)
    if choice is not None and _needs_options(choice):
        needed |= choice.build("encoders").column_options(kind)
    return needed


def _needs_options(choice: Choice) -> bool:
    return hasattr(catalog.find("encoders", choice.name), "column_options")


def needing(design: Design) -> dict[str, Any]:
    """What of a recipe's design needs columns to have options, as JSON values: names and options."""
    choices = {key: one for key, one in design.encoders.items() if isinstance(one, Choice)}
    encoders = {key: [one.name, one.options] for key, one in choices.items() if _needs_options(one)}
    drops = bool(design.fusion.options.get("modality_dropout"))
    found = {"encoders": encoders} | ({"modality_dropout": True} if drops else {})
    return found | ({"share": design.share} if design.share else {})


def _first_place(column: Column, values: pl.Series) -> str:
    """Where the first value is that a column cannot read."""
    try:
        column.parse(values)
    except DataError as error:
        return f", the first in {error.where.rpartition(', ')[2]}"
    return ""


def column_fault(name: str, error: Any) -> Fault:
    """A wrong option of a column as a fault of the recipe."""
    path = ".".join(["data", "columns", name, *(str(part) for part in error["loc"])])
    return Fault(
        path=path, message=f"is {error['input']!r}: {error['msg']}", hint="see the column's type in data.columns"
    )


def ignored_findings(chosen: Mapping[str, Chosen], target: str) -> tuple[Finding, ...]:
    """What the inference of types noticed: ids, constants, texts, empty columns, values of several kinds."""
    return tuple(_finding(one, is_target=name == target) for name, one in chosen.items() if one.finding)


def _finding(one: Chosen, *, is_target: bool) -> Finding:
    warns = one.finding in ("empty", "text", "unsupported", "ambiguous_dates")
    done = "it is not used" if one.type == "ignore" else f"it is used as {one.type}"
    remedies = {
        "mixed_values": f"mend the values, add them to data.missing_values, or set data.columns.{one.name} to a type",
        "empty": "fill the column, or leave it out",
    }
    remedy = remedies.get(one.finding, f"if it should be otherwise, set data.columns.{one.name} to a type")
    return Finding(
        key=f"{one.finding}:{one.name}",
        severity="error" if one.finding == "mixed_values" else "warning" if warns else "note",
        message=f"{'the target ' if is_target else ''}{one.name}: {one.note}; {done}",
        columns=(one.name,),
        remedy=remedy,
        evidence={"type": one.type},
    )
