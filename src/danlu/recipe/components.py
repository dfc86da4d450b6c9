"""How a recipe names a component: by its name, or by a mapping with its name and some of its options.

Every form becomes one normal form with all options filled in, so that equal recipes have equal fingerprints.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic import Field as PydanticField
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from danlu import catalog
from danlu.base import registry
from danlu.base.errors import DanluError, nearest
from danlu.base.files import fingerprint


def wrong(message: str, hint: str = "", *, kind: str = "danlu") -> PydanticCustomError:
    """A fault to raise in a validator: what was given and what is allowed, without the path.

    Args:
        message: as a `Fault` has it.
        hint: how to mend it.
        kind: `danlu_type` where the value is of the wrong kind altogether, which a union may allow elsewhere.
    """
    return PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})


def located(errors: Sequence[tuple[tuple[str | int, ...], Any, PydanticCustomError]]) -> ValidationError:
    """Faults below the value that is being validated: (path from there, what was given, fault)."""
    return ValidationError.from_exception_data(
        "recipe", [InitErrorDetails(type=error, loc=loc, input=value) for loc, value, error in errors]
    )


def not_one_of(value: Any, choices: Sequence[str], what: str = "one of") -> PydanticCustomError:
    """The fault of a name that is not among `choices`."""
    near = nearest(str(value), choices)
    return wrong(f"is {value}, which is not {what} {', '.join(choices)}", f"did you mean {near}?" if near else "")


class Choice(BaseModel):
    """A component of a family: its name and its whole options.

    Attributes:
        name: as in the catalogue.
        options: every option, defaults filled in.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    options: dict[str, Any] = {}

    def build(self, family: str) -> Any:
        """The component itself."""
        return registry.build(catalog.find(family, self.name), self.options)


class ColumnRecipe(BaseModel):
    """What the recipe says of one column.

    Attributes:
        type: its type, or none to infer it.
        options: the options that were given, and no others: the rest is inferred.
    """

    model_config = ConfigDict(frozen=True)

    type: str | None = None
    options: dict[str, Any] = {}


class OwnChoice(Choice):
    """An object of the user's own, given in Python, in place of a component of the catalogue.

    No file can hold it: `name` says where its class was defined, and `options` holds its fields and a hash of its code,
    so that a changed one makes another run.

    Attributes:
        component: the object.
    """

    component: Any = PydanticField(exclude=True, repr=False)

    def build(self, family: str) -> Any:
        """The object itself."""
        return self.component


OWN = "python:"


def own_choice(value: Any) -> OwnChoice:
    """An object of the user's own as a choice."""
    kind = type(value)
    fields = vars(value) if hasattr(value, "__dict__") else {}
    options = {name: one if isinstance(one, (bool, int, float, str)) else repr(one) for name, one in fields.items()}
    name = f"{OWN}{kind.__module__}.{kind.__qualname__}"
    return OwnChoice(name=name, options={**options, "code": _code_hash(kind)}, component=value)


def _code_hash(kind: type) -> str:
    """Changes with the class's source; where that cannot be had (a prompt, a notebook), with what its methods do."""
    try:
        return fingerprint(inspect.getsource(kind))[:16]
    except (OSError, TypeError):
        methods = {name: one.__code__ for name, one in vars(kind).items() if inspect.isfunction(one)}
        told = {
            name: [code.co_code.hex(), [repr(one) for one in code.co_consts if not inspect.iscode(one)], code.co_names]
            for name, code in methods.items()
        }
        return fingerprint(told)[:16]


@dataclass(frozen=True)
class Component:
    """The annotation of an option that takes a component: `Annotated[Choice, Component("optimizers")]`.

    Attributes:
        family: in the catalogue.
        default: the component whose options a mapping without a name sets, or "" where it needs one.
        own: the method by which an object of the user's own, given in Python, is taken for one; "" takes none.
    """

    family: str
    default: str = ""
    own: str = ""

    key = "name"

    def names(self, given: Any) -> tuple[str, ...]:
        """The keys that the mapping `given` may have."""
        name = _name(given, self.key) or self.default
        if name not in catalog.names(self.family):
            return (self.key,)
        return (self.key, *registry.options_model(catalog.find(self.family, name)).model_fields)

    def check(self, value: Any) -> Choice:
        """Any form as the normal one. Raises ValidationError, PydanticCustomError."""
        if isinstance(value, OwnChoice):
            return value
        if (
            self.own
            and not isinstance(value, (str, Mapping, Choice, type))
            and callable(getattr(value, self.own, None))
        ):
            return own_choice(value)
        options = self._mapping(value, Choice)
        name = options.pop("name", self.default or None)
        if name is None:
            names = ", ".join(catalog.names(self.family))
            raise located([(("name",), None, wrong("is missing", f"add a name: one of {names}"))])
        whole = registry.validate(self._find(name), options)
        return Choice(name=name, options=whole)

    def _mapping(self, value: Any, kind: type[Choice | ColumnRecipe]) -> dict[str, Any]:
        if isinstance(value, kind):
            return {self.key: getattr(value, self.key), **value.options}
        if isinstance(value, str):
            return {self.key: value}
        if not isinstance(value, Mapping):
            choices = ", ".join(catalog.names(self.family))
            raise wrong(f"one of {choices}, or a mapping with `{self.key}` and options", kind="danlu_type")
        return dict(value)

    def _find(self, name: Any) -> type:
        """The component of that name."""
        try:
            if isinstance(name, str):
                return catalog.find(self.family, name)
        except DanluError:
            pass
        if isinstance(name, str) and name.startswith(OWN):
            fault = wrong(f"is {name}, an object in Python, which no file can name", "run it from Python again")
            raise located([((self.key,), name, fault)])
        raise located([((self.key,), name, not_one_of(name, catalog.names(self.family)))])

    def dump(self, choice: Any) -> Any:
        """The normal form as a mapping."""
        return {"name": choice.name, **choice.options} if isinstance(choice, Choice) else choice

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.check, serialization=core_schema.plain_serializer_function_ser_schema(self.dump)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"x-danlu-family": self.family, "x-danlu-default": self.default}


@dataclass(frozen=True)
class ColumnComponent(Component):
    """The annotation of an entry of `data.columns`: `type` instead of `name`, and it may be left out."""

    family: str = "columns"

    key = "type"

    def names(self, given: Any) -> tuple[str, ...]:
        """The keys that the mapping `given` may have; without a type, those of any column."""
        return super().names(given) if _name(given, "type") else ("type", *self.known())

    def known(self) -> tuple[str, ...]:
        """Every option of any column type, sorted."""
        components = [catalog.find("columns", name) for name in catalog.names("columns")]
        return tuple(sorted({name for one in components for name in registry.options_model(one).model_fields}))

    def check(self, value: Any) -> ColumnRecipe:  # type: ignore[override]
        """Any form as the normal one; without a type, a key is right where some column type has it."""
        options = self._mapping(value, ColumnRecipe)
        kind = options.pop("type", None)
        if kind is not None:
            whole = registry.validate(self._find(kind), options)
            return ColumnRecipe(type=kind, options={name: whole[name] for name in options})
        known = self.known()
        unknown = [
            ((name,), given, wrong("is not an option of any column", _did_you_mean(name, known)))
            for name, given in options.items()
            if name not in known
        ]
        if unknown:
            raise located(unknown)
        return ColumnRecipe(options=options)

    def dump(self, choice: Any) -> Any:
        """The normal form as a mapping."""
        if not isinstance(choice, ColumnRecipe):
            return choice
        return {**({"type": choice.type} if choice.type else {}), **choice.options}


def _name(given: Any, key: str) -> Any:
    """The component's name in any of its forms."""
    if isinstance(given, (Choice, ColumnRecipe)):
        return getattr(given, key, None)
    return given.get(key) if isinstance(given, Mapping) else given if isinstance(given, str) else None


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f"did you mean {near}?" if near else f"one of {', '.join(known)}"


ColumnEntry = Annotated[ColumnRecipe, ColumnComponent()]


def together(
    given: Any, handler: Callable[[Any], Any], faults: Sequence[tuple[tuple[str | int, ...], Any, PydanticCustomError]]
) -> Any:
    """What `handler` makes of `given`; its faults and `faults` are raised as one.

    For wrap validators, so that a rule about several options is reported beside what is wrong with each.

    Raises:
        ValidationError: there are any.
    """
    details = [InitErrorDetails(type=error, loc=loc, input=value) for loc, value, error in faults]
    try:
        result = handler(given)
    except ValidationError as error:
        raise ValidationError.from_exception_data("recipe", [*map(_again, error.errors()), *details]) from None
    if details:
        raise ValidationError.from_exception_data("recipe", details)
    return result


def _again(error: Any) -> InitErrorDetails:
    """A reported error as one to be raised."""
    kind = error["type"]
    if kind.startswith("danlu"):
        kind = wrong(error["ctx"]["message"], error["ctx"]["hint"], kind=kind)
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=error.get("ctx", {}))
