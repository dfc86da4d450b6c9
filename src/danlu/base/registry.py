"""Options from constructor signatures: validated values, JSON Schema and documentation from one definition.

A component is a class whose constructor takes keyword-only parameters with annotations and defaults. That signature
is the only definition of its options:

    @dataclass(frozen=True, kw_only=True)
    class AdamW:
        '''Adam with decoupled weight decay.

Attributes:
            lr: step size.
        '''
        lr: Annotated[float, Gt(0)] = 1e-3
"""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model


@dataclass(frozen=True)
class Option:
    """One option as documentation shows it.

    Attributes:
        name: as it is written in a recipe.
        default: its default; `...` where it has none.
        schema: its JSON Schema: type and range.
        doc: one paragraph from the class's docstring.
    """

    name: str
    default: Any
    schema: dict[str, Any]
    doc: str


def _parameters(component: type) -> dict[str, tuple[Any, Any]]:
    """Name → (annotation with its ranges, default or `...`)."""
    if is_dataclass(component):
        hints = get_type_hints(component, include_extras=True)
        own = [field for field in fields(component) if field.init]
        defaults = {
            field.name: field.default_factory()
            if field.default_factory is not MISSING
            else (... if field.default is MISSING else field.default)
            for field in own
        }
        return {field.name: (hints[field.name], defaults[field.name]) for field in own}
    constructor = component.__init__  # type: ignore[misc]
    hints = get_type_hints(constructor, include_extras=True)
    signature = inspect.signature(constructor)
    return {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def option_texts(component: type) -> dict[str, str]:
    """Option → what the docstring's `Attributes:` or `Args:` says of it; a class inherits what its base says."""
    found: dict[str, str] = {}
    for kind in reversed(component.__mro__):
        found |= _own_texts(inspect.cleandoc(kind.__doc__ or ""))
    return found


def _own_texts(text: str) -> dict[str, str]:
    section = re.search(r"^(?:Attributes|Args):\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in (section.group(1) if section else "").splitlines():
        start = re.match(r"^    (\w+): (.*)$", line)
        if start:
            name = start.group(1)
            found[name] = start.group(2)
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _from_lists(annotation: Any) -> Any:
    """The annotation; where it holds a tuple, a list does too: YAML has no tuples, and strict types take no list."""
    return Annotated[annotation, BeforeValidator(_tuples)] if _has_tuple(annotation) else annotation


def _has_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(_has_tuple(part) for part in get_args(annotation))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


@cache
def options_model(component: type) -> type[BaseModel]:
    """The pydantic model of a component's options: unknown keys are errors, types are strict."""
    docs = option_texts(component)
    definitions: dict[str, Any] = {
        name: (_from_lists(annotation), Field(default, description=docs.get(name)))
        for name, (annotation, default) in _parameters(component).items()
    }
    config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_default=True)
    return create_model(component.__name__, __config__=config, __doc__=summary(component), **definitions)


def validate(component: type, given: dict[str, Any]) -> dict[str, Any]:
    """The component's whole options, defaults filled in. Raises pydantic.ValidationError."""
    return options_model(component).model_validate(given).model_dump()


def build(component: type, given: dict[str, Any] | None = None) -> Any:
    """An instance from options. Raises pydantic.ValidationError."""
    return component(**validate(component, given or {}))


def summary(component: type) -> str:
    """The first sentence of the docstring."""
    return (inspect.getdoc(component) or "").split("\n\n")[0].replace("\n", " ")


def describe(component: type) -> tuple[Option, ...]:
    """Every option of a component, in the order of its signature."""
    schema = options_model(component).model_json_schema()
    docs = option_texts(component)
    return tuple(
        Option(name, default, {k: v for k, v in schema["properties"][name].items() if k != "title"}, docs.get(name, ""))
        for name, (_, default) in _parameters(component).items()
    )
