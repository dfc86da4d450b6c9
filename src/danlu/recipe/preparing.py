"""The recipe's section `prepare`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    BeforeValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from danlu import catalog
from danlu.base.errors import nearest
from danlu.base.kinds import PERSONAL_KINDS
from danlu.recipe.components import Choice, Component, located, together, wrong
from danlu.recipe.sections import Faults, Section


class SplitBy(Section):
    """Split by columns: exactly one of these, or `group` with `stratify`.

    Attributes:
        group: rows with an equal value in this column stay together.
        time: the oldest rows train, the newest test, by this column.
        column: this column says `train`, `validation` or `test` for each row.
        stratify: each split has its share of every class of these columns; numbers and times are binned, and missing is
            a class too. Name the target among them where its classes are to keep their shares. With `group`, whole
            groups are put where the shares come out best.
    """

    group: str | None = None
    time: str | None = None
    column: str | None = None
    stratify: Annotated[list[str], MinLen(1)] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that it names."""
        return tuple(name for name in (self.group, self.time, self.column, *(self.stratify or ())) if name)

    @model_validator(mode="wrap")
    @classmethod
    def _one(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        faults: Faults = []
        ways = ("group", "time", "column", "stratify")
        named = [name for name in ways if isinstance(given, Mapping) and given.get(name)]
        if isinstance(given, Mapping) and ((len(named) > 1 and named != ["group", "stratify"]) or not given):
            text = f"has {' and '.join(named)}" if named else "is empty"
            message = f"{text}; it takes one of group, time, column, stratify, or group with stratify"
            faults.append(((), given, wrong(message, "keep one")))
        columns = given.get("stratify") if isinstance(given, Mapping) else None
        if isinstance(columns, (list, tuple)):
            twice = [name for place, name in enumerate(columns) if name in columns[:place]]
            if twice:
                faults.append((("stratify",), columns, wrong(f"names {twice[0]} twice", "keep one of them")))
        result: Self = together(given, handler, faults)
        return result


class InnerFold(Section):
    """One fold of several inside a fold: the outer fold's test rows are in no split of it.

    Attributes:
        number: which inner fold tests, from 0.
        of: how many folds the outer fold's training and validation rows are split into.
    """

    number: Annotated[int, Ge(0)] = 0
    of: Annotated[int, Ge(2), Le(100)] = 5

    @model_validator(mode="wrap")
    @classmethod
    def _one_of_them(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        faults: Faults = []
        if isinstance(given, Mapping):
            number, count = given.get("number", 0), given.get("of", 5)
            if isinstance(number, int) and isinstance(count, int) and number >= count >= 2:
                message = f"is {number}, but {count} folds are numbered 0 … {count - 1}"
                faults.append((("number",), number, wrong(message, f"lower it to {count - 1} or less")))
        result: Self = together(given, handler, faults)
        return result


class Fold(InnerFold):
    """One fold of several: its rows test, and `danlu run --folds` runs them all.

    Attributes:
        number: which fold tests, from 0.
        of: how many folds there are.
        repeat: which deal of the rows into folds, from 0; each deals anew.
        inner: one fold of this fold's other rows tests instead, and its own test rows are left out, as
            `danlu run --folds --nested` does.
    """

    repeat: Annotated[int, Ge(0)] = 0
    inner: InnerFold | None = None


class SplitRecipe(Section):
    """Which rows are for what.

    Attributes:
        validation: share of rows that choose among models; taken from the training rows where files or a fold are set.
        test: share of rows that measure the result once; not used where files or a fold are set.
        by: `stratified` keeps the classes' shares (a number target is binned), `random` does not.
        fold: one fold tests instead of a share. Split by time, folds are windows: all that is older trains.
        gap: share or count of rows left out before the validation rows and before the test rows of a split by time.
    """

    validation: Annotated[float, Gt(0), Lt(1)] = 0.1
    test: Annotated[float, Gt(0), Lt(1)] = 0.2
    by: Literal["stratified", "random"] | SplitBy = "stratified"
    fold: Fold | None = None
    gap: Annotated[int, Ge(0)] | Annotated[float, Gt(0), Lt(1)] = 0

    @property
    def is_by_chance(self) -> bool:
        """Whether neither a group, nor a time, nor a column says where a row goes."""
        return isinstance(self.by, str) or not (self.by.group or self.by.time or self.by.column)

    @model_validator(mode="wrap")
    @classmethod
    def _leaves_training_rows(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        faults: Faults = []
        if isinstance(given, Mapping):
            shares = [given.get("validation", 0.1), given.get("test", 0.2)]
            if all(isinstance(share, (int, float)) and 0 < share < 1 for share in shares) and sum(shares) >= 1:
                message = f"leaves no training rows: validation {shares[0]} and test {shares[1]} make {sum(shares):g}"
                faults.append(((), given, wrong(message, "lower them until their sum is below 1")))
            faults += _of_no_use(given)
        result: Self = together(given, handler, faults)
        return result


def _of_no_use(split: Mapping[str, Any]) -> Faults:
    """Options of a split that its kind would pass over."""
    by, fold, gap = split.get("by"), split.get("fold"), split.get("gap")
    column, time = (
        (by.get(name) if isinstance(by, Mapping) else getattr(by, name, None)) for name in ("column", "time")
    )
    repeat = fold.get("repeat", 0) if isinstance(fold, Mapping) else getattr(fold, "repeat", 0)
    faults: Faults = []
    if column and fold is not None:
        message = f"stands beside by.column: {column} says already which rows test"
        faults.append((("fold",), fold, wrong(message, "keep one")))
    if time and repeat:
        message = f"is {repeat}, but time deals the rows into the same folds each time"
        faults.append((("fold", "repeat"), repeat, wrong(message, "remove it")))
    if gap and not time:
        faults.append((("gap",), gap, wrong("is for a split by time", "remove it, or split `by: {time: COLUMN}`")))
    return faults


def _variable(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", value):
        raise wrong("is not the name of an environment variable; a recipe holds no key", "write env:DANLU_MASK_KEY")
    return value


def _name_kinds(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": list(PERSONAL_KINDS)}


class Mask(Section):
    """Personal data that nothing after the reading may see: not the cache, the run, the bundle, the report or a log.

    Attributes:
        columns: column name → how its values are masked.
        kinds: kind of personal data (`email`, `phone`, `resident_id`, …) → how it is masked where it is recognised
            inside the texts of any column that `columns` does not name: `redact`, `hash` or `pseudonym`.
        skip: columns whose texts `kinds` leaves alone.
        key: the environment variable that holds the secret key of `hash` and `pseudonym`, written `env:NAME`.
    """

    columns: dict[str, Annotated[Choice, Component("masks")]] = Field(default={})
    kinds: dict[str, Annotated[Choice, Component("masks")]] = Field(default={}, json_schema_extra=_name_kinds)
    skip: list[str] = Field(default=[])
    key: Annotated[str, BeforeValidator(_variable), WithJsonSchema({"type": "string", "pattern": "^env:"})] = (
        "env:DANLU_MASK_KEY"
    )

    @field_validator("columns", "kinds")
    @classmethod
    def _options_agree(cls, masks: dict[str, Choice]) -> dict[str, Choice]:
        told = {name: one.build("masks").fault() for name, one in masks.items()}
        faults: Faults = [
            ((name,), masks[name].name, wrong(f"is {masks[name].name}, which {fault}"))
            for name, fault in told.items()
            if fault
        ]
        if faults:
            raise located(faults)
        return masks

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, masks: dict[str, Choice]) -> dict[str, Choice]:
        faults: Faults = []
        for kind, one in masks.items():
            if kind not in PERSONAL_KINDS:
                near = nearest(kind, PERSONAL_KINDS)
                hint = f"did you mean {near}?" if near else f"one of {', '.join(PERSONAL_KINDS)}"
                faults.append(((kind,), one.name, wrong("is not a kind of personal data", hint)))
            elif not catalog.find("masks", one.name).takes_spans:  # type: ignore[attr-defined]
                message = f"is {one.name}, which takes whole columns only"
                faults.append(((kind,), one.name, wrong(message, "use redact, hash or pseudonym, or name the column")))
            elif set(one.options.get("kinds", PERSONAL_KINDS)) != set(PERSONAL_KINDS):
                fault = wrong("is for a column; here each kind has its own entry", "remove it")
                faults.append(((kind, "kinds"), one.options["kinds"], fault))
        if faults:
            raise located(faults)
        return masks

    @model_validator(mode="wrap")
    @classmethod
    def _masks_something(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        faults: Faults = []
        if isinstance(given, Mapping):
            columns, kinds, skip = (given.get(name) or {} for name in ("columns", "kinds", "skip"))
            if not columns and not kinds:
                faults.append(((), given, wrong("masks nothing", "name columns or kinds, or remove it")))
            elif skip and not kinds:
                faults.append((("skip",), skip, wrong("stands without kinds", "remove it")))
            if isinstance(columns, Mapping) and isinstance(skip, (list, tuple)):
                twice = [name for name in skip if isinstance(name, str) and name in columns]
                if twice:
                    message = f"names {twice[0]}, which columns masks: kinds leaves it alone anyway"
                    faults.append((("skip",), skip, wrong(message, f"remove {twice[0]}")))
        result: Self = together(given, handler, faults)
        return result


class Prepare(Section):
    """Step 1.

    Attributes:
        mask: personal data that is masked right after the rows are read, before anything looks at them.
        split: which rows train, validate and test.
        fill: what stands for a missing value, told by the other columns of its row. What one filler leaves missing the
            next may fill; what is left then is up to the column's own `missing`.
        accept: keys of findings that would stop the run and that you have looked at.
        max_rejected: share of rows (broken pictures, unreadable lines) past which the run stops.
        audit: whether to look for faults in the data, such as leaks and copies; without it a warning says so.
    """

    mask: Mask | None = None
    split: SplitRecipe = Field(default_factory=SplitRecipe)
    fill: list[Annotated[Choice, Component("fillers")]] = Field(default=[])
    accept: list[str] = Field(default=[])
    max_rejected: Annotated[float, Ge(0), Le(1)] = 0.01
    audit: bool = True
