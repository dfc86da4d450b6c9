"""The recipe's section `data`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from annotated_types import MaxLen, MinLen
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    model_validator,
)

from danlu.recipe.addresses import holds_password, is_remote, lacks_secrets
from danlu.recipe.components import Choice, ColumnEntry, Component, together, wrong
from danlu.recipe.faults import describe_value
from danlu.recipe.naming import is_frame
from danlu.recipe.sections import Faults, Section


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


_MISSING = ["?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-", "缺失", "无"]

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
    join: list[Join] = Field(default=[])
    files: Place | Annotated[dict[str, Place], MinLen(1)] | None = None
    series: dict[str, Steps | Annotated[dict[str, Steps], MinLen(1)]] = Field(default={})
    missing_values: list[str] = Field(default=_MISSING)
    columns: dict[str, ColumnEntry] = Field(default={})

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
