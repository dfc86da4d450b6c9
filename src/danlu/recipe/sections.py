"""The sections of a recipe, one class each, defaults and ranges beside the options.

A component (an optimizer, an encoder, …) is written as its name or as a mapping with its name and options; it is
checked against the constructor it names (`recipe/components.py`, `base/registry.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from danlu import catalog
from danlu.recipe.components import Choice, Component, located, not_one_of, wrong

Faults = list[tuple[tuple[str | int, ...], Any, PydanticCustomError]]


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, types are strict, values do not change."""

    # Defaults are validated so that a default component is in the same normal form as one that is written.
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        validate_default=True,
    )


class Design(Section):
    """Step 2.

    Attributes:
        encoders: column name, column type or `*` → its encoder; `default` is the one its type brings.
        share: groups of columns, such as `[[question, answer]]`, that are learned as one (one vocabulary, say) and go
            through one encoder, with the same weights. They are of one type and have the same options.
        fusion: how encoded columns are joined.
        head: from the joined vector to the outputs; `default` is the task's own.
    """

    encoders: dict[str, Literal["default"] | Annotated[Choice, Component("encoders")]] = {"*": "default"}
    share: list[Annotated[list[str], MinLen(2)]] = []
    fusion: Annotated[Choice, Component("fusions", default="concat")] = Choice(name="concat")
    head: Annotated[Choice, Component("heads", default="default")] | None = None

    @field_validator("share")
    @classmethod
    def _shared_once(cls, groups: list[list[str]]) -> list[list[str]]:
        names = [name for group in groups for name in group]
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            faults: Faults = [((), groups, wrong(f"names {twice[0]} twice", "name each column in one group"))]
            raise located(faults)
        return groups

    def based(self, folder: Path) -> Self:
        """The same with the relative paths of encoders' files, where there are such, beginning at `folder`."""
        placed = {key: _based(one, folder) if isinstance(one, Choice) else one for key, one in self.encoders.items()}
        return self if placed == self.encoders else self.model_copy(update={"encoders": placed})


def _based(choice: Choice, folder: Path) -> Choice:
    names: tuple[str, ...] = getattr(catalog.find("encoders", choice.name), "paths", ())
    there = {name: folder / Path(choice.options[name]).expanduser() for name in names if choice.options.get(name)}
    found = {name: str(path) for name, path in there.items() if path.exists()}
    return choice.model_copy(update={"options": {**choice.options, **found}}) if found else choice


def encoder_of(section: Design, name: str, type: str) -> tuple[str, Choice | None]:
    """The encoder that a recipe names for one column: by its name, else by its type, else by `*`.

    Returns:
        The key that names it, and the encoder; None where that is the one its type brings.
    """
    key = next((key for key in (name, type, "*") if key in section.encoders), "*")
    choice = section.encoders.get(key, "default")
    return key, choice if isinstance(choice, Choice) else None


def _metric(value: Any) -> Any:
    if isinstance(value, str) and value not in catalog.names("metrics"):
        raise not_one_of(value, catalog.names("metrics"))
    return value


MetricName = Annotated[str, BeforeValidator(_metric), WithJsonSchema({"x-danlu-family": "metrics"})]


class Evaluate(Section):
    """Step 4.

    Attributes:
        metrics: what is scored; by default the task's own. The first is the main one.
        bootstrap: resamples behind each interval.
        confidence: share of resamples inside each interval.
        baselines: what the network is held against, trained on the same rows.
    """

    metrics: Annotated[list[MetricName], MinLen(1)] | None = None
    bootstrap: Annotated[int, Ge(0), Le(100_000)] = 1000
    confidence: Annotated[float, Gt(0), Lt(1)] = 0.95
    baselines: list[Literal["majority", "boosting"]] = ["majority", "boosting"]


class Compress(Section):
    """Step 5.

    Attributes:
        variants: what to try beside fp32 (`try` in a recipe).
        max_drop: largest loss of the main metric against fp32, relative to it, before a variant is refused.
        batch_size: rows in a batch when latency is measured.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    variants: list[Annotated[Choice, Component("variants")]] = Field(default=[Choice(name="int8_dynamic")], alias="try")
    max_drop: Annotated[float, Ge(0), Le(1)] = 0.01
    batch_size: Annotated[int, Ge(1)] = 1

    @field_validator("variants")
    @classmethod
    def _named_once(cls, variants: list[Choice]) -> list[Choice]:
        names = [variant.name for variant in variants]
        twice = [index for index, name in enumerate(names) if name in names[:index]]
        if twice:
            raise located([((twice[0],), names[twice[0]], wrong(f"is {names[twice[0]]} a second time", "remove it"))])
        return variants


class Deploy(Section):
    """Step 6.

    Attributes:
        formats: what the network is exported to.
        tolerance: largest difference between a served output and the trained network's, in the output's own scale
            (relative to the larger of 1 and the output).
        variant: what is released: `fp32`, a variant by name, or `auto`: fp32 where it meets `require`, else the
            smallest accepted variant that does.
    """

    formats: Annotated[list[Annotated[Choice, Component("exporters")]], MinLen(1)] = [Choice(name="onnx")]
    tolerance: Annotated[float, Gt(0)] = 1e-4
    variant: str = "auto"
