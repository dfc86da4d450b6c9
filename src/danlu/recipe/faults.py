"""Validation errors in a person's words: the path as it was written, what was given, what is allowed, the fix."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from danlu.base.errors import Fault, nearest
from danlu.recipe.components import Component
from danlu.recipe.document import Path, Place, dotted

# What a value must be, by pydantic's error type: a wrong kind of value, which another arm of a union may allow.
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping of options",
    "model_attributes_type": "a mapping of options",
    "is_instance_of": "of another type",
    "none_required": "null",
}
# What a value of the right kind must be, with the names of the error's context.
_RANGES = {
    "greater_than": "> {gt}",
    "greater_than_equal": ">= {ge}",
    "less_than": "< {lt}",
    "less_than_equal": "<= {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "a finite number",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
}
# What to write where an option without a default is missing.
_SAMPLE: dict[Path, str] = {("data",): "FILE", ("data", "target"): "COLUMN"}


@dataclass(frozen=True)
class _Problem:
    """One of pydantic's errors: its path in the recipe, and the arms of unions it passed."""

    path: Path
    kind: str
    given: Any
    context: Mapping[str, Any]
    text: str
    arms: int

    @property
    def wrong_kind(self) -> bool:
        """Whether another arm of a union may allow the value."""
        return self.kind in _KINDS or self.kind in ("literal_error", "danlu_type")


def faults_of(
    error: ValidationError,
    model: type[BaseModel],
    given: Mapping[str, Any],
    places: Mapping[Path, Place] | None = None,
    written: Mapping[Path, Path] | None = None,
) -> list[Fault]:
    """A validation error as faults, one for each thing that is wrong.

    Args:
        error: what pydantic raised.
        model: what was validated.
        given: the value it was given.
        places: path → where it is written.
        written: path in the model → path as it was written, where a shorthand was used.
    """
    problems = [_problem(item, given) for item in error.errors()]
    grouped: dict[Path, list[_Problem]] = {}
    for problem in problems:
        if not _hidden(problem, problems):
            grouped.setdefault(problem.path, []).append(problem)
    found = []
    for path, group in grouped.items():
        fault = _fault(group, model, given)
        found.append(placed(fault, path, places or {}, written or {}))
    return found


def placed(fault: Fault, path: Path, places: Mapping[Path, Place], written: Mapping[Path, Path]) -> Fault:
    """The fault with its path as it was written, and the place of that or of the nearest one above it."""
    place = Place()
    for end in range(len(path), -1, -1):
        if (at := _as_written(path[:end], written)) in places:
            place = places[at]
            break
    shown = dotted(_as_written(path, written))
    return replace(fault, path=shown, file=place.file, line=place.line, column=place.column)


def _as_written(path: Path, written: Mapping[Path, Path]) -> Path:
    start = next((old for old in written if path[: len(old)] == old), ())
    return (*written[start], *path[len(start) :]) if start else path


def _problem(item: Any, given: Any) -> _Problem:
    """One of pydantic's errors, without the names of union arms in its path."""
    path: list[str | int] = []
    value, arms = given, 0
    last = len(item["loc"]) - 1
    for index, part in enumerate(item["loc"]):
        inside = (isinstance(value, Mapping) and part in value) or (
            isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int) and part < len(value)
        )
        if inside:
            value = value[part]
            path.append(part)
        elif index == last and (item["type"] in ("missing", "extra_forbidden") or _says_missing(item)):
            path.append(part)
        else:
            arms += 1
    return _Problem(tuple(path), item["type"], item["input"], item.get("ctx", {}), item["msg"], arms)


def _says_missing(item: Any) -> bool:
    return bool(item["type"] == "danlu" and item["ctx"]["message"] == "is missing")


def _hidden(problem: _Problem, problems: Sequence[_Problem]) -> bool:
    """Whether another arm of the same union got further with the value, so that its error says more."""
    if not (problem.arms and problem.wrong_kind):
        return False
    return any(
        other.arms
        and other.path[: len(problem.path)] == problem.path
        and (len(other.path) > len(problem.path) or not other.wrong_kind)
        for other in problems
    )


def _fault(group: Sequence[_Problem], model: type[BaseModel], given: Any) -> Fault:
    first = group[0]
    if first.kind == "danlu":
        return Fault(path="", message=first.context["message"], hint=first.context["hint"])
    if first.kind == "missing":
        return Fault(path="", message="is missing", hint=f"add `{first.path[-1]}: {_SAMPLE.get(first.path, '…')}`")
    if first.kind == "extra_forbidden":
        return _unknown(first, model, given)
    return _wrong_value(group)


def _wrong_value(group: Sequence[_Problem]) -> Fault:
    wanted = list(dict.fromkeys(part for problem in group for part in _wanted(problem)))
    first = group[0]
    if not wanted:
        return Fault(path="", message=f"is not right: {first.text}")
    hint = _hint(first.given, [problem.kind for problem in group], wanted)
    return Fault(path="", message=f"must be {_either(wanted)}, not {describe_value(first.given)}", hint=hint)


def _wanted(problem: _Problem) -> list[str]:
    if problem.kind == "danlu_type":
        return [str(problem.context["message"])]
    if problem.kind == "literal_error":
        return re.findall(r"'([^']*)'", problem.context["expected"]) or [str(problem.context["expected"])]
    if problem.kind in _RANGES:
        bounds = {name: f"{value:g}" if isinstance(value, float) else value for name, value in problem.context.items()}
        return [_RANGES[problem.kind].format(**bounds)]
    return [_KINDS[problem.kind]] if problem.kind in _KINDS else []


def _either(wanted: Sequence[str]) -> str:
    return wanted[0] if len(wanted) == 1 else f"{', '.join(wanted[:-1])} or {wanted[-1]}"


def _hint(given: Any, kinds: Sequence[str], wanted: Sequence[str]) -> str:
    """The likely slip: a number in quotes, a text without them, a false for a null, a misspelt choice."""
    if isinstance(given, str):
        number = {"int_type": int, "float_type": float}.get(next((kind for kind in kinds if kind in _KINDS), ""))
        if number and _reads_as(given, number):
            return f"write {given} without quotes"
        if kinds == ["bool_type"]:
            return "write true or false without quotes"
        near = nearest(given, [word for word in wanted if " " not in word])
        return f"did you mean {near}?" if near else ""
    if "string_type" in kinds and isinstance(given, (int, float)):
        return f'write it in quotes: "{_scalar(given)}"'
    if given is False and "model_type" in kinds:
        return "write null to switch it off"
    if given is None:
        return "remove the line, or write a value"
    return ""


def _reads_as(text: str, kind: type) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def describe_value(value: Any) -> str:
    """A value as a message names it: `the text 'ten'`, `0.5`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float)):
        return _scalar(value)
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 60 else value[:57] + '…'}'"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"


def _scalar(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(problem: _Problem, model: type[BaseModel], given: Any) -> Fault:
    """A key that is not an option of where it stands."""
    *above, name = problem.path
    owner, known = _options_at(model, tuple(above), given)
    near = nearest(str(name), known)
    elsewhere = [] if near else _sections_with(str(name), model)
    if near:
        hint = f"did you mean {near}?"
    elif elsewhere:
        hint = f"did you mean {elsewhere[0]}?"
    else:
        hint = f"remove it; there are {', '.join(known)}" if known else "remove it"
    return Fault(path="", message=f"is not an option of {owner}", hint=hint)


def _options_at(model: type[BaseModel], path: Path, given: Any) -> tuple[str, tuple[str, ...]]:
    """What stands at a path, by name, and the options that it has."""
    arms, value = _at(model, path, given)
    owner = dotted(path) or "a recipe"
    known: list[str] = []
    for kind, component in arms:
        if component:
            known += component.names(value)
            chosen = value.get(component.key) if isinstance(value, Mapping) else value
            owner = chosen if isinstance(chosen, str) else component.default or owner
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            known += _fields(kind)
    return owner, tuple(dict.fromkeys(known))


def _at(model: type[BaseModel], path: Path, given: Any) -> tuple[list[tuple[Any, Component | None]], Any]:
    """The annotations that a path may have, and the value there."""
    arms: list[tuple[Any, Component | None]] = [(model, None)]
    for part in path:
        arms = [arm for kind, component in arms for arm in _below(kind, component, str(part))]
        given = _inside(given, part)
    return arms, given


def _inside(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    return value[part] if isinstance(value, (list, tuple)) and isinstance(part, int) else None


def _below(kind: Any, component: Component | None, part: str) -> list[tuple[Any, Component | None]]:
    """The annotations that a key may have below one annotation."""
    if component:
        return []
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        name = next((key for key, info in kind.model_fields.items() if part in (key, info.alias)), None)
        return _arms(get_type_hints(kind, include_extras=True)[name]) if name else []
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (dict, list) and parts:
        return _arms(parts[-1])
    return []


def _arms(annotation: Any) -> list[tuple[Any, Component | None]]:
    """The arms of a union, each with the component it takes, if it takes one."""
    if get_origin(annotation) is Annotated:
        kind, *notes = get_args(annotation)
        component = next((note for note in notes if isinstance(note, Component)), None)
        return [(kind, component)] if component else _arms(kind)
    if get_origin(annotation) in (Union, types.UnionType):
        return [arm for part in get_args(annotation) for arm in _arms(part)]
    return [(annotation, None)]


def _fields(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _sections_with(name: str, model: type[BaseModel]) -> list[str]:
    """Sections' options of exactly that name, as `train.epochs`."""
    hints = get_type_hints(model, include_extras=True)
    return [
        f"{section}.{name}"
        for section in model.model_fields
        for kind, _ in _arms(hints[section])
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name in _fields(kind)
    ]


def component_at(model: type[BaseModel], path: Path, given: Any) -> Component | None:
    """What component an option takes, if it takes one."""
    arms, _ = _at(model, path, given)
    return next((component for _, component in arms if component), None)
