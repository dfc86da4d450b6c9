"""What a person may ask for: the sections of a recipe, one class each, defaults and ranges beside the options.

A component (an optimizer, an encoder, …) is written as its name or as a mapping with its name and options; it is checked
against the constructor it names (`base/registry.py`). Two lines are a whole recipe:

    data: census.csv
    target: income
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from danlu import catalog
from danlu.base import registry
from danlu.base.errors import DanluError, nearest

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)


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


def _choice(family: str) -> Any:
    """The annotation of an option that takes a component of `family`."""

    def check(value: Any) -> Any:
        if isinstance(value, Choice):
            value = {"name": value.name, **value.options}
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "component", "must be a name or a mapping with `name`", {"choices": catalog.names(family)}
            )
        options = dict(value)
        name = options.pop("name", None)
        if name is None:
            raise _located("component_name", "needs a `name`: {choices}", family, ())
        try:
            component = catalog.find(family, name)
        except DanluError:
            raise _located("component_name", "is not one of {choices}", family, ("name",), value=name) from None
        return Choice(name=name, options=registry.validate(component, options))

    return Annotated[
        Choice,
        BeforeValidator(check),
        PlainSerializer(lambda choice: {"name": choice.name, **choice.options}),
        WithJsonSchema({"x-danlu-family": family}),
    ]


def _located(kind: str, message: str, family: str, loc: tuple[str, ...], value: Any = None) -> ValidationError:
    choices = catalog.names(family)
    error = PydanticCustomError(kind, message, {"choices": ", ".join(choices), "near": nearest(str(value), choices)})
    return ValidationError.from_exception_data("component", [InitErrorDetails(type=error, loc=loc, input=value)])


class ColumnRecipe(BaseModel):
    """What the recipe says of one column: its type (or none, to infer it) and some of its options."""

    model_config = ConfigDict(frozen=True)

    type: str | None = None
    options: dict[str, Any] = {}


def _column(value: Any) -> Any:
    """Check one entry of `data.columns`; without a type, a key is right where any column type has it."""
    if isinstance(value, ColumnRecipe):
        value = {"type": value.type, **value.options}
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        raise PydanticCustomError(
            "component", "must be a column type or a mapping", {"choices": catalog.names("columns")}
        )
    options = dict(value)
    kind = options.pop("type", None)
    if kind is None:
        known = {
            option.name
            for name in catalog.names("columns")
            for option in registry.describe(catalog.find("columns", name))
        }
        wrong = [key for key in options if key not in known]
        if wrong:
            raise ValidationError.from_exception_data(
                "column",
                [
                    InitErrorDetails(
                        type=PydanticCustomError(
                            "unknown_key", "is not an option of any column", {"near": nearest(key, sorted(known))}
                        ),
                        loc=(key,),
                        input=options[key],
                    )
                    for key in wrong
                ],
            )
        return ColumnRecipe(options=options)
    try:
        component = catalog.find("columns", kind)
    except DanluError:
        raise _located("component_name", "is not one of {choices}", "columns", ("type",), value=kind) from None
    registry.validate(component, options)
    return ColumnRecipe(type=kind, options=options)


ColumnEntry = Annotated[
    ColumnRecipe,
    BeforeValidator(_column),
    PlainSerializer(lambda entry: {**({"type": entry.type} if entry.type else {}), **entry.options}),
    WithJsonSchema({"x-danlu-family": "columns"}),
]


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, types are strict, values do not change."""

    model_config = _STRICT


class Data(Section):
    """Where the rows are, what to predict, and what differs from what is inferred.

    Attributes:
        source: a file, a glob, a list of files, a folder of class folders of pictures, a folder of idx files, `sample:NAME`,
            or (in Python) a data frame.
        train: training rows, where the splits are given as files; then `test` (and perhaps `validation`) too.
        validation: validation rows, given as files.
        test: test rows, given as files.
        target: the column to predict.
        reader: how to read the source, where its name does not tell.
        missing_values: texts that stand for a missing value, besides blanks.
        columns: column name → its type, or its type and options; only what differs from what is inferred.
    """

    source: Any = None
    train: Any = None
    validation: Any = None
    test: Any = None
    target: str
    reader: _choice("sources") | None = None  # type: ignore[valid-type]
    missing_values: list[str] = ["?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-", "缺失", "无"]
    columns: dict[str, ColumnEntry] = {}

    @model_validator(mode="after")
    def _one_kind_of_source(self) -> Self:
        given = [name for name in ("train", "validation", "test") if getattr(self, name) is not None]
        if self.source is None and "train" not in given:
            raise PydanticCustomError("source", "needs `source`, or `train` and `test`", {})
        if self.source is not None and given:
            raise PydanticCustomError("source", "has both `source` and `{given}`: give one of them", {"given": given[0]})
        if self.source is None and "test" not in given:
            raise PydanticCustomError("source", "has `train` without `test`: give both, or `source` alone", {})
        return self


class SplitBy(Section):
    """Split by a column instead of by chance: exactly one of these.

    Attributes:
        group: rows with an equal value in this column stay together.
        time: the oldest rows train, the newest test, by this column.
        column: this column says `train`, `validation` or `test` for each row.
    """

    group: str | None = None
    time: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.group, self.time, self.column)) != 1:
            raise PydanticCustomError("split_by", "takes exactly one of group, time, column", {})
        return self


class SplitRecipe(Section):
    """Which rows are for what.

    Attributes:
        validation: share of rows that choose among models; taken from the training rows where files are given.
        test: share of rows that measure the result once; not used where files are given.
        by: `stratified` keeps the classes' shares (a number target is binned), `random` does not.
    """

    validation: Annotated[float, Gt(0), Lt(1)] = 0.1
    test: Annotated[float, Gt(0), Lt(1)] = 0.2
    by: Literal["stratified", "random"] | SplitBy = "stratified"

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if self.validation + self.test >= 1:
            raise PydanticCustomError("split", "leaves no training rows: validation + test must be below 1", {})
        return self


class Prepare(Section):
    """Step 1.

    Attributes:
        split: which rows train, validate and test.
        accept: keys of findings that would stop the run and that you have looked at.
        max_rejected: share of rows (broken pictures, unreadable lines) past which the run stops.
    """

    split: SplitRecipe = SplitRecipe()
    accept: list[str] = []
    max_rejected: Annotated[float, Ge(0), Le(1)] = 0.01


class Design(Section):
    """Step 2.

    Attributes:
        encoders: column name, column type or `*` → its encoder; `default` is the one its type brings.
        fusion: how encoded columns are joined.
        head: from the joined vector to the outputs; by default the task's own, without options.
    """

    encoders: dict[str, Literal["default"] | _choice("encoders")] = {"*": "default"}  # type: ignore[valid-type]
    fusion: _choice("fusions") = Choice(name="concat")  # type: ignore[valid-type]
    head: _choice("heads") | None = None  # type: ignore[valid-type]


class EarlyStop(Section):
    """Stop when validation no longer gets better.

    Attributes:
        monitor: the metric to watch; by default the task's own. The best checkpoint is the best by this.
        patience: epochs without an improvement before the run stops.
        min_delta: what counts as an improvement, in the metric's own unit.
    """

    monitor: str | None = None
    patience: Annotated[int, Ge(1)] = 8
    min_delta: Annotated[float, Ge(0)] = 0.0


class Train(Section):
    """Step 3.

    Attributes:
        optimizer: how weights follow gradients.
        schedule: how the step size changes over the run.
        epochs: passes over the training rows; `auto` gives small data more of them.
        batch_size: rows in a step; `auto` grows with the data from 16 to 512.
        accumulate: batches whose gradients are added up before one optimizer step.
        clip_norm: largest norm of all gradients together; none does not clip.
        l1: weight of the sum of absolute weights, added to the loss.
        class_weights: `balanced` weights rows by the inverse share of their class; or class → weight.
        early_stop: when to stop before the last epoch; none runs them all.
        device: where the network is trained.
        checkpoint_s: seconds between two checkpoints within an epoch; each epoch's end writes one too.
    """

    optimizer: _choice("optimizers") = Choice(name="adamw")  # type: ignore[valid-type]
    schedule: _choice("schedules") = Choice(name="cosine")  # type: ignore[valid-type]
    epochs: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    batch_size: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    accumulate: Annotated[int, Ge(1)] = 1
    clip_norm: Annotated[float, Gt(0)] | None = None
    l1: Annotated[float, Ge(0)] = 0.0
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Gt(0)]] | None = None
    early_stop: EarlyStop | None = EarlyStop()
    device: str = "auto"
    checkpoint_s: Annotated[float, Gt(0)] = 30.0


class Evaluate(Section):
    """Step 4.

    Attributes:
        metrics: what is scored; by default the task's own. The first is the main one.
        bootstrap: resamples behind each interval.
        confidence: share of resamples inside each interval.
        baselines: what the network is held against, trained on the same rows.
    """

    metrics: list[str] | None = None
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

    model_config = {**_STRICT, "validate_by_name": True, "validate_by_alias": True, "serialize_by_alias": True}

    variants: list[_choice("variants")] = Field(  # type: ignore[valid-type]
        default=[Choice(name="int8_dynamic")], alias="try"
    )
    max_drop: Annotated[float, Ge(0), Le(1)] = 0.01
    batch_size: Annotated[int, Ge(1)] = 1


class Deploy(Section):
    """Step 6.

    Attributes:
        formats: what the network is exported to.
        tolerance: largest difference between a served output and the trained network's, in the output's own scale
            (relative to the larger of 1 and the output).
        variant: what is released: `fp32`, a variant by name, or `auto`: fp32 where it meets `require`, else the
            smallest accepted variant that does.
    """

    formats: list[_choice("exporters")] = [Choice(name="onnx")]  # type: ignore[valid-type]
    tolerance: Annotated[float, Gt(0)] = 1e-4
    variant: str = "auto"


_CONDITION = re.compile(r"^\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$")


def parse_condition(text: str) -> tuple[str, float]:
    """`">= 0.85"` as (">=", 0.85). Raises ValueError."""
    match = _CONDITION.match(text)
    if not match:
        raise ValueError(text)
    return match.group(1), float(match.group(2))


def _condition(value: Any) -> Any:
    try:
        parse_condition(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("condition", 'must be a comparison such as ">= 0.85"', {}) from None
    return value


class Recipe(Section):
    """A whole recipe.

    Attributes:
        name: names the run's folder; by default from the source.
        seed: all randomness comes from it.
        data: where the rows are and what to predict.
        prepare: step 1.
        design: step 2.
        train: step 3.
        evaluate: step 4.
        compress: step 5.
        deploy: step 6.
        require: metric, `latency_ms` or `size_mb` → condition; the release is refused where one is not met.
    """

    name: str | None = Field(default=None, pattern=r"^[\w][\w.-]{0,63}$")
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    data: Data
    prepare: Prepare = Prepare()
    design: Design = Design()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    compress: Compress = Compress()
    deploy: Deploy = Deploy()
    require: dict[str, Annotated[str, BeforeValidator(_condition)]] = {}

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, given: Any) -> Any:
        """`data: SOURCE` and `target: NAME` at the top stand for `data: {source: SOURCE, target: NAME}`."""
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        data = given.get("data")
        if data is not None and not isinstance(data, (Mapping, Data)):
            data = {"source": data}
        if "target" in given and isinstance(data, Mapping):
            if "target" in data:
                raise PydanticCustomError("target_twice", "is given twice: as `target` and as `data.target`", {})
            data = {**data, "target": given.pop("target")}
        if data is not None:
            given["data"] = data
        return given

    @model_validator(mode="after")
    def _requirements_are_known(self) -> Self:
        known = (*catalog.names("metrics"), "latency_ms", "size_mb")
        wrong = [name for name in self.require if name not in known]
        if wrong:
            raise ValidationError.from_exception_data(
                "require",
                [
                    InitErrorDetails(
                        type=PydanticCustomError(
                            "unknown_key", "is not one of {choices}",
                            {"choices": ", ".join(known), "near": nearest(name, known)},
                        ),
                        loc=("require", name),
                        input=self.require[name],
                    )
                    for name in wrong
                ],
            )
        return self
