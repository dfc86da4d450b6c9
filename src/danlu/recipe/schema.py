"""What a person may ask for: the whole recipe, and what one of its sections says of another.

The sections: `recipe/data.py`, `recipe/preparing.py`, `recipe/training.py`, `recipe/launching.py`; all others in
`recipe/sections.py`.

Two lines are a whole recipe:

    data: census.csv
    target: income
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

from annotated_types import Ge, Le
from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    model_validator,
)

from danlu import catalog
from danlu.base.errors import Fault, RecipeError, nearest
from danlu.recipe.components import Choice, ColumnRecipe, not_one_of, together, wrong
from danlu.recipe.data import Data, Join
from danlu.recipe.document import Path as Keys
from danlu.recipe.document import Place
from danlu.recipe.faults import describe_value, faults_of, placed
from danlu.recipe.launching import Launch
from danlu.recipe.naming import default_name, is_frame
from danlu.recipe.preparing import Fold, InnerFold, Mask, Prepare, SplitBy, SplitRecipe
from danlu.recipe.sections import Compress, Deploy, Design, Evaluate, Faults, Section
from danlu.recipe.training import Checkpoints, EarlyStop, Engine, Ensemble, Statistics, Train

__all__ = [
    "Checkpoints",
    "Choice",
    "ColumnRecipe",
    "Compress",
    "Data",
    "Deploy",
    "Design",
    "EarlyStop",
    "Engine",
    "Ensemble",
    "Evaluate",
    "Fold",
    "InnerFold",
    "Join",
    "Launch",
    "Mask",
    "Prepare",
    "Recipe",
    "Section",
    "SplitBy",
    "SplitRecipe",
    "Statistics",
    "Train",
    "parse_condition",
    "requirable",
    "spelled_out",
]

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
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        hint = f'write ">= {value}" or "<= {value}"' if number else "an operator (>=, <=, >, <) and a number"
        raise wrong(f'must be a comparison such as ">= 0.85", not {describe_value(value)}', hint) from None
    return value


Condition = Annotated[
    str, BeforeValidator(_condition), WithJsonSchema({"type": "string", "pattern": _CONDITION.pattern})
]


def requirable() -> tuple[str, ...]:
    """What `require` may name."""
    return (*catalog.names("metrics"), "latency_ms", "size_mb")


def _name_requirements(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": [*catalog.CATALOG["metrics"], "latency_ms", "size_mb"]}


_NAME = re.compile(r"\w[\w.-]{0,63}")


def _name(value: Any) -> Any:
    if isinstance(value, str) and not _NAME.fullmatch(value):
        raise wrong(
            f"is '{value[:70]}'; a name is made of letters, digits, points, dashes and _, at most 64, and begins with "
            "a letter or a digit",
            f"write {default_name(value)}",
        )
    return value


RunName = Annotated[str, BeforeValidator(_name)]


class Recipe(Section):
    """A whole recipe.

    Attributes:
        name: names the run's folder; by default from the source.
        seed: all randomness comes from it.
        data: where the rows are and what to predict.
        prepare: step 1.
        design: step 2.
        train: step 3.
        launch: where step 3 runs.
        evaluate: step 4.
        compress: step 5.
        deploy: step 6.
        require: metric, `latency_ms` or `size_mb` → condition; the release is refused where one is not met.
    """

    name: RunName
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    data: Data
    prepare: Prepare = Field(default_factory=Prepare)
    design: Design = Field(default_factory=Design)
    train: Train = Field(default_factory=Train)
    launch: Launch = Field(default_factory=Launch)
    evaluate: Evaluate = Field(default_factory=Evaluate)
    compress: Compress = Field(default_factory=Compress)
    deploy: Deploy = Field(default_factory=Deploy)
    require: dict[str, Condition] = Field(default={}, json_schema_extra=_name_requirements)

    # Where relative paths of `data` begin. Not a part of what is asked: two equal recipes may lie in two folders.
    _base: Path = PrivateAttr(default=Path("."))
    # Where its options are written, for faults that only the data bring to light.
    _places: Mapping[Keys, Place] = PrivateAttr(default={})
    _written: Mapping[Keys, Keys] = PrivateAttr(default={})

    def __init__(self, **given: Any) -> None:
        """Make a recipe in Python from its sections, as mappings or as their classes.

        Raises:
            RecipeError: everything that is wrong with it.
        """
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise RecipeError(faults_of(error, type(self), spelled_out(given))) from error

    @property
    def base(self) -> Path:
        """The folder where relative paths of `data` begin: the recipe file's, or the current one."""
        return self._base

    def based(self, folder: Path) -> Self:
        """The same recipe with its relative paths beginning at `folder`."""
        base = Path(folder).absolute()
        copy = self.model_copy(update={"design": self.design.based(base)})
        copy._base = base
        return copy

    def folded(self, number: int, of: int, repeat: int = 0, inner: Mapping[str, int] | None = None) -> Self:
        """The same recipe whose test rows are one fold, see `Fold`, or an inner one of it, see `InnerFold`.

        Raises:
            RecipeError: it names a fold already, or its split cannot be folded so.
        """
        given = {**dict(self.prepare.split), "fold": {"number": number, "of": of, "repeat": repeat, "inner": inner}}
        if self.prepare.split.fold is not None:
            message, hint = "names one fold, but all of them are to be run", "remove it, or run it without --folds"
            raise RecipeError([self.fault(("prepare", "split", "fold"), message, hint)])
        try:
            split = SplitRecipe.model_validate(given)
        except ValidationError as error:
            faults = faults_of(error, SplitRecipe, given)
            raise RecipeError(
                [self.fault(("prepare", "split", *one.path.split(".")), one.message, one.hint) for one in faults]
            ) from error
        return self.model_copy(update={"prepare": self.prepare.model_copy(update={"split": split})})

    def written(self, places: Mapping[Keys, Place], written: Mapping[Keys, Keys]) -> Self:
        """The same recipe, which knows where its options are written."""
        copy = self.model_copy()
        copy._places, copy._written = places, written
        return copy

    def fault(self, path: Keys, message: str, hint: str = "") -> Fault:
        """A fault of one option, at the place where it is written."""
        return placed(Fault(path="", message=message, hint=hint), path, self._places, self._written)

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Give faults that are raised within, by who does not know the recipe, the places of their options."""
        try:
            yield
        except RecipeError as error:
            known = [fault if fault.file or not fault.path else self._placed(fault) for fault in error.faults]
            if known == list(error.faults):
                raise
            raise RecipeError(known) from error

    def _placed(self, fault: Fault) -> Fault:
        return placed(fault, tuple(fault.path.split(".")), self._places, self._written)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        frames = [
            (getattr(self.data, name), getattr(other.data, name)) for name in ("source", "train", "validation", "test")
        ]
        same = all(one is two for one, two in frames if is_frame(one) or is_frame(two))
        return same and self.model_dump(mode="json") == other.model_dump(mode="json")

    __hash__ = None  # type: ignore[assignment]

    @model_validator(mode="wrap")
    @classmethod
    def _rules(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        """Shorthand at the top; what one section says of another."""
        if not isinstance(given, Mapping):
            result: Self = handler(given)
            return result
        faults: Faults = []
        if "target" in given and isinstance(given.get("data"), Mapping) and "target" in given["data"]:
            faults.append(
                (("target",), given["target"], wrong("is given twice: as target and as data.target", "keep one"))
            )
            given = {key: value for key, value in given.items() if key != "target"}
        given = spelled_out(given)
        if "name" not in given:
            given["name"] = default_name(_source(given.get("data")))
        faults += [*_unknown_requirements(given), *_released_variant(given), *_dropped_but_used(given)]
        faults += _not_launched(given)
        faults += _torn_by_folds(given)
        recipe: Self = together(given, handler, faults)
        return recipe


def spelled_out(given: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without its shorthand: `data: SOURCE` and `target: NAME` at the top are put into one mapping `data`."""
    given = dict(given)
    data = given.get("data")
    if data is not None and not isinstance(data, (Mapping, Data)):
        data = {"source": data}
    if "target" in given and isinstance(data, Mapping) and "target" not in data:
        data = {**data, "target": given.pop("target")}
    if data is not None:
        given["data"] = data
    else:
        given.pop("target", None)  # that there is no data is fault enough
    return given


def _source(data: Any) -> Any:
    if isinstance(data, Data):
        return data.source if data.source is not None else data.train
    if not isinstance(data, Mapping):
        return None
    return data["source"] if data.get("source") is not None else data.get("train")


def _unknown_requirements(given: Mapping[str, Any]) -> Faults:
    require = given.get("require")
    if not isinstance(require, Mapping):
        return []
    known = requirable()
    faults: Faults = []
    for name, value in require.items():
        if name not in known:
            near = nearest(str(name), known)
            hint = f"did you mean {near}?" if near else f"one of {', '.join(known)}"
            faults.append((("require", name), value, wrong("is not something that can be required", hint)))
    return faults


def _dropped_but_used(given: Mapping[str, Any]) -> Faults:
    """Columns that `prepare.mask` drops, and that another option needs."""
    data, prepare = given.get("data"), given.get("prepare")
    mask = prepare.get("mask") if isinstance(prepare, Mapping) else None
    masks = mask.get("columns") if isinstance(mask, Mapping) else None
    if not isinstance(masks, Mapping) or not isinstance(data, Mapping):
        return []
    used: dict[Any, str] = dict.fromkeys(data.get("columns") or {}, "data.columns")
    split = prepare.get("split") if isinstance(prepare, Mapping) else None
    by = split.get("by") if isinstance(split, Mapping) else None
    if isinstance(by, Mapping):
        named = [name for value in by.values() for name in (value if isinstance(value, (list, tuple)) else (value,))]
        used |= {name: "prepare.split.by" for name in named if isinstance(name, str)}
    used[data.get("target")] = "data.target"
    faults: Faults = []
    for name, way in masks.items():
        if way in ("drop", {"name": "drop"}) and name in used:
            message = f"is drop, but {used[name]} names {name}"
            faults.append((("prepare", "mask", "columns", name), way, wrong(message, "mask it in another way")))
    return faults


def _torn_by_folds(given: Mapping[str, Any]) -> Faults:
    """An ensemble's folds are dealt by chance, which a split by groups, times or a column does not bear."""
    train, prepare = given.get("train"), given.get("prepare")
    members = train.get("ensemble") if isinstance(train, Mapping) else None
    split = prepare.get("split") if isinstance(prepare, Mapping) else None
    by = split.get("by") if isinstance(split, Mapping) else None
    named = next((name for name in ("group", "time", "column") if isinstance(by, Mapping) and by.get(name)), None)
    if named is None or not isinstance(members, Mapping) or not members.get("folds"):
        return []
    message = f"deals rows by chance, but prepare.split.by is {named}"
    return [(("train", "ensemble", "folds"), members["folds"], wrong(message, "take seeds in place of folds"))]


def _not_launched(given: Mapping[str, Any]) -> Faults:
    """Options of `train` that do not go with several workers, or with weights that they share out."""
    launch, train = given.get("launch"), given.get("train")
    launch = launch.model_dump() if isinstance(launch, Launch) else launch
    train = train.model_dump() if isinstance(train, Train) else train
    if not isinstance(launch, Mapping) or not isinstance(train, Mapping) or launch.get("engine") != "torchrun":
        return []
    faults: Faults = []
    if train.get("budget") is not None:
        hint = "set train.epochs, or launch.engine to inline"
        message = "looks at one clock, and launch.engine is torchrun: workers would not stop at the same step"
        faults.append((("train", "budget"), train["budget"], wrong(message, hint)))
    if train.get("batch_size") == "find":
        message = "is find, which tries steps in one process, and launch.engine is torchrun"
        faults.append((("train", "batch_size"), "find", wrong(message, "set a number, or launch.engine to inline")))
    if launch.get("strategy") == "fsdp":
        named = train.get("optimizer")
        if (named.get("name") if isinstance(named, Mapping) else named) == "muon":
            message = "is muon, which needs whole matrices; with launch.strategy fsdp no worker has them"
            faults.append((("train", "optimizer"), named, wrong(message, "use adamw, or set launch.strategy to ddp")))
        for name in ("average", "statistics"):
            if train.get(name) is not None:
                message = "is set, and does not go with launch.strategy fsdp"
                faults.append((("train", name), train[name], wrong(message, "set launch.strategy to ddp")))
        engine = train.get("engine")
        pinned = engine if isinstance(engine, Mapping) else {}
        for name, only in (("precision", "fp32"), ("backward", "autograd"), ("compiled", False)):
            if pinned.get(name, "auto") not in ("auto", only):
                message = f"is {pinned[name]}, and launch.strategy fsdp takes {only}"
                hint = "leave it out, or set launch.strategy to ddp"
                faults.append((("train", "engine", name), pinned[name], wrong(message, hint)))
    return faults


def _released_variant(given: Mapping[str, Any]) -> Faults:
    deploy, compress = given.get("deploy"), given.get("compress")
    variant = deploy.get("variant", "auto") if isinstance(deploy, Mapping) else "auto"
    tried: Any = compress.get("try", compress.get("variants")) if isinstance(compress, Mapping) else None
    if tried is None:
        tried = ["int8_dynamic"]
    if not isinstance(variant, str) or not isinstance(tried, (list, tuple)):
        return []
    names = [item.get("name") if isinstance(item, Mapping) else getattr(item, "name", item) for item in tried]
    choices = ["auto", "fp32", *(name for name in names if isinstance(name, str))]
    if variant in choices:
        return []
    hint = f"add {variant} to compress.try" if variant in catalog.names("variants") else ""
    fault = not_one_of(variant, choices) if not hint else wrong(f"is {variant}, which compress.try does not make", hint)
    return [(("deploy", "variant"), variant, fault)]
