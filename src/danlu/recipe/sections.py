"""The sections of a recipe, one class each, defaults and ranges beside the options.

A component (an optimizer, an encoder, …) is written as its name or as a mapping with its name and options; it is
checked against the constructor it names (`recipe/components.py`, `base/registry.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from danlu import catalog
from danlu.base.errors import nearest
from danlu.base.kinds import PERSONAL_KINDS
from danlu.recipe.addresses import holds_password, is_remote, lacks_secrets
from danlu.recipe.components import Choice, ColumnEntry, Component, located, not_one_of, together, wrong
from danlu.recipe.faults import describe_value
from danlu.recipe.naming import is_frame

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


def _one_path(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        if not value.strip():
            raise wrong("is empty", "write a path")
        if holds_password(value):
            hint = "set the store's own variables" if is_remote(value) else "set DANLU_SQL_PASSWORD"
            raise wrong("holds a password, which the run would hold", f"remove it; {hint}")
        if lacks_secrets(value):
            raise wrong("was written without its signature, which no run holds", "write the whole address again")
        return value
    raise wrong(f"must be a path or sample:NAME, not {describe_value(value)}")


def _rows(value: Any) -> Any:
    """Check a source: paths become texts, a data frame stays what it is."""
    if value is None or is_frame(value):
        return value
    if not isinstance(value, (list, tuple)):
        return _one_path(value)
    if not value:
        raise wrong("is an empty list", "write at least one path")
    return [_one_path(item) for item in value]


def _dump_rows(value: Any) -> Any:
    """A source as it is written in YAML; a data frame cannot be, its content is hashed elsewhere."""
    return "frame" if is_frame(value) else value


_PATH = {"type": "string"}
_ROWS_SCHEMA = {"anyOf": [_PATH, {"type": "array", "items": _PATH, "minItems": 1}, {"type": "null"}]}
Rows = Annotated[Any, BeforeValidator(_rows), PlainSerializer(_dump_rows), WithJsonSchema(_ROWS_SCHEMA)]


Place = Annotated[str, BeforeValidator(_one_path), WithJsonSchema(_PATH)]


Steps = Annotated[str, MinLen(1)] | Annotated[list[str], MinLen(1)]


class Join(Section):
    """A side table: its columns are added to the rows that have its key, before anything else is done with them.

    Attributes:
        source: a file, a glob, a folder, an address of these, `sample:NAME` or a database.
        key: the column of equal values, in which no value may stand twice in the side table; or, where the names differ
            or it takes several columns, a mapping of the rows' column to the side table's.
        columns: what to add; by default all but the key.
        reader: how to read it, where its name does not tell.
        ship: whether the key and the columns that are used go into the bundle, so that rows to predict for may come
            without these columns; a key that is not known there has them missing.
    """

    source: Place
    key: Annotated[str, MinLen(1)] | Annotated[dict[str, str], MinLen(1)]
    columns: Annotated[list[str], MinLen(1)] | None = None
    reader: Annotated[Choice, Component("sources")] | None = None
    ship: bool = False


def _target_or_pair(schema: dict[str, Any]) -> None:
    """A recipe has one of the two."""
    schema["required"] = [name for name in schema.get("required", ()) if name != "target"]
    schema["anyOf"] = [{"required": ["target"]}, {"required": ["pair"]}]


class Data(Section):
    """Where the rows are, what to predict, and what differs from what is inferred.

    Attributes:
        source: a file, a glob, a list of files, a folder of class folders of pictures or sounds, a folder of idx files
            or of a pair of `.ts` files, what Hugging Face's `save_to_disk` wrote, an address of these (`https://…`,
            `s3://…` and other stores), `sample:NAME`, a database (`sqlite:///FILE`,
            `postgresql://USER@HOST/DATABASE`), or (in Python) a data frame. Paths are relative to the recipe's folder.
        train: training rows, where the splits are given as files; then `test` (and perhaps `validation`) too.
        validation: validation rows, given as files.
        test: test rows, given as files.
        target: the column to predict.
        pair: instead of a target, two columns whose values in one row belong together, such as `[title, photo]`: of
            both, vectors are learned which are alike where the values belong together. No other column is used.
        reader: how to read the source, where its name does not tell.
        join: side tables whose columns are added to the rows first. Rows to predict for bring those columns, unless
            the side table is shipped with the model.
        files: a folder or a zip archive that holds the files which a column names (pictures, sounds), or column →
            folder or archive. A file may be named by its whole path there or, where only one is called so, by the end
            of it, with or without its suffix.
        series: name of a series → the columns that it is made of, one for each step: a list, or a pattern such as `t*`,
            which takes them in the order of the numbers in their names; of several channels, channel → list or pattern.
            A row ends at its last step with a number. Rows to predict for bring these columns, or the series itself.
        missing_values: texts that stand for a missing value, besides blanks.
        columns: column name → its type, or its type and options; only what differs from what is inferred.
    """

    model_config = ConfigDict(json_schema_extra=_target_or_pair)

    source: Rows = None
    train: Rows = None
    validation: Rows = None
    test: Rows = None
    target: Annotated[str, MinLen(1)]
    pair: Annotated[list[str], MinLen(2), MaxLen(2)] | None = None
    reader: Annotated[Choice, Component("sources")] | None = None
    join: list[Join] = []
    files: Place | Annotated[dict[str, Place], MinLen(1)] | None = None
    series: dict[str, Steps | Annotated[dict[str, Steps], MinLen(1)]] = {}
    missing_values: list[str] = ["?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-", "缺失", "无"]
    columns: dict[str, ColumnEntry] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _rules(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        """One kind of source; the target is a column that is used."""
        faults: Faults = []
        given, faults = _with_pair(given)
        if isinstance(given, Mapping):
            files = [name for name in ("train", "validation", "test") if given.get(name) is not None]
            source = given.get("source")
            if source is None and "train" not in files:
                faults.append(((), given, wrong("has no source", "add `source: FILE`, or `train` and `test`")))
            elif source is not None and files:
                message = f"stands beside data.{files[0]}: the rows come from one source or from files for each split"
                faults.append((("source",), source, wrong(message, f"remove source or {', '.join(files)}")))
            elif source is None and "test" not in files:
                faults.append(((), given, wrong("has train without test", "add `test: FILE`, or use `source` alone")))
            faults += _target_is_used(given)
        result: Self = together(given, handler, faults)
        return result


def _with_pair(given: Any) -> tuple[Any, Faults]:
    """The section with a target made of the pair, where it has one; and what is wrong with that."""
    pair = given.get("pair") if isinstance(given, Mapping) else None
    if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
        return given, []
    name = " + ".join(pair)
    target, columns = given.get("target", name), given.get("columns") or {}
    faults: Faults = []
    if target != name:
        message = f"stands beside data.pair: {pair[0]} and {pair[1]} are learned from each other alone"
        faults.append((("target",), target, wrong(message, "keep one")))
    if pair[0] == pair[1]:
        faults.append((("pair",), pair, wrong(f"names {pair[0]} twice", "name two columns")))
    said = columns.get(name, {}) if isinstance(columns, Mapping) else None
    if not isinstance(said, Mapping):
        return {**given, "target": target}, faults
    own = {"type": "pair", "first": pair[0], "second": pair[1], **said}
    return {**given, "target": target, "columns": {**columns, name: own}}, faults


def _target_is_used(given: Mapping[str, Any]) -> Faults:
    target, columns = given.get("target"), given.get("columns")
    entry = columns.get(target) if isinstance(columns, Mapping) and isinstance(target, str) else None
    kind = entry.get("type") if isinstance(entry, Mapping) else entry
    if kind != "ignore":
        return []
    return [(("columns", str(target)), entry, wrong("is ignore, but it is the target", "remove the line"))]


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

    columns: dict[str, Annotated[Choice, Component("masks")]] = {}
    kinds: dict[str, Annotated[Choice, Component("masks")]] = Field(default={}, json_schema_extra=_name_kinds)
    skip: list[str] = []
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
    fill: list[Annotated[Choice, Component("fillers")]] = []
    accept: list[str] = []
    max_rejected: Annotated[float, Ge(0), Le(1)] = 0.01
    audit: bool = True


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
