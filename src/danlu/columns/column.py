"""What one column is: the contract of every column type, and the packing of all columns into arrays.

    options (recipe)  --fit on the training split-->  state  --encode-->  fields  --pack-->  network inputs

A column type encodes into named fields. A field is a `scalar` ((N,) or (N, w) float32), a `code` ((N,) int32, a row of
an embedding table) or an `image` ((N, H, W, C) uint8). All scalars of a table become one matrix, all codes another, so
that a training step gathers two arrays however many columns there are. Training and serving run this same code; no
torch here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import polars as pl

from danlu import catalog
from danlu.base.errors import DataError, nearest
from danlu.base.registry import build, validate

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Field:
    """One array that a column encodes into.

    Attributes:
        name: "value", "missing", "code", "pixels".
        kind: scalar (float32), code (int32, a row of an embedding table) or image (uint8).
        shape: shape of one row: () or (w,) for scalars, () for codes, (H, W, C) for images.
        num_codes: size of the table for a code, else 0.
        reserved: how many codes, the first ones, stand for no value of the training rows (missing, unseen).
        mean: per-channel mean of an image on the training split, 0 … 255.
        std: per-channel standard deviation of an image on the training split, > 0.
    """

    name: str
    kind: Literal["scalar", "code", "image"]
    shape: tuple[int, ...] = ()
    num_codes: int = 0
    reserved: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


class State:
    """What a fit learned: a frozen dataclass whose fields are JSON values or NumPy arrays."""

    def dump(self) -> tuple[dict[str, Any], Arrays]:
        """The JSON-able fields and the arrays."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}  # type: ignore[arg-type]
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in values.items() if name not in arrays}, arrays

    @classmethod
    def load(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """The state that `dump` gave. Lists become tuples again, at every depth."""
        return cls(**{name: _frozen(value) for name, value in values.items()}, **arrays)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


class Column(Protocol):
    """A column type: its options are the constructor's keyword-only parameters.

    Class attributes:
        state_type: what `fit` returns.
        encoder: the encoder a column of this type has when the recipe names none, or "" where it feeds none.
    """

    state_type: ClassVar[type[State]]
    encoder: ClassVar[str]

    def parse(self, values: pl.Series) -> pl.Series:
        """Raw values (strings from a CSV or a request, or already typed) as this column's own dtype, blanks as nulls.

        Raises:
            DataError: a value is not of this type; `where` names the column and the first such row (from 0), the
                message the value, the hint the remedy.
        """

    def fit(self, values: pl.Series) -> State:
        """Learn from the training split's parsed values. Raises DataError where there is nothing to learn from."""

    def fields(self, state: Any) -> tuple[Field, ...]:
        """What `encode` gives, known before any row is."""

    def encode(self, values: pl.Series, state: Any) -> Arrays:
        """Parsed values as one array for every field, (N, *shape). Unseen and missing values never fail."""

    def decode(self, arrays: Arrays, state: Any) -> pl.Series:
        """The values again from what `encode` gave, as far as they can be told (codes → labels, scaled → unit)."""

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True for rows to leave out of training and scoring: missing ones where `missing` is `drop`."""


@dataclass(frozen=True)
class FittedColumn:
    """A column with what was learned of it.

    Attributes:
        name: as in the data.
        type: name in the catalogue's family `columns`.
        options: whole options, defaults filled in.
        state: what `fit` learned on the training split only.
    """

    name: str
    type: str
    options: Mapping[str, Any]
    state: State

    @cached_property
    def column(self) -> Column:
        """The column type with its options."""
        column: Column = build(catalog.find("columns", self.type), dict(self.options))
        return column

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What it encodes into."""
        return self.column.fields(self.state)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """As a target: the text of each class, by its code; none for a number."""
        (field,) = self.fields
        codes = np.arange(field.num_codes, dtype=np.int32)
        return tuple(self.column.decode({field.name: codes}, self.state).cast(pl.String).to_list())

    def encode(self, values: pl.Series) -> Arrays:
        """Values (blanks already nulls, see `nulled`) as arrays, one for each field. Raises DataError."""
        return self.column.encode(self.column.parse(values.alias(self.name)), self.state)

    def decode(self, arrays: Arrays) -> pl.Series:
        """The values again."""
        return self.column.decode(arrays, self.state).alias(self.name)


def fit_column(name: str, type: str, options: Mapping[str, Any], values: pl.Series) -> FittedColumn:
    """Fit one column on the training split's values (blanks already nulls, see `nulled`). Raises DataError."""
    whole = validate(catalog.find("columns", type), dict(options))
    column: Column = build(catalog.find("columns", type), whole)
    return FittedColumn(name, type, whole, column.fit(column.parse(values.alias(name))))


def nulled(values: pl.Series, missing_values: Sequence[str]) -> pl.Series:
    """Texts without the blanks around them; empty ones and those that stand for a missing value become nulls.

    So it is with the categories of a frame, and with numbers where a missing value's text is one: a row means the same
    whether it came from a file or typed.

    Args:
        values: (N,) of any dtype; categories come back as texts, all but texts and numbers as they are.
        missing_values: texts that stand for a missing value ("?", "NA", "-999").
    """
    if values.dtype.is_numeric():
        return _without_numbers(values, missing_values)
    if isinstance(values.dtype, (pl.Categorical, pl.Enum)):
        values = values.cast(pl.String)
    if values.dtype != pl.String:
        return values
    text = values.str.strip_chars()
    return text.set(text.is_in(["", *missing_values]), None)


def _without_numbers(values: pl.Series, missing_values: Sequence[str]) -> pl.Series:
    """Numbers without those that stand for a missing value."""
    missing = pl.Series(missing_values, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    missing = missing.filter(missing.is_finite())
    if not len(missing):
        return values
    return values.set(values.cast(pl.Float64).is_in(missing.to_list()), None)


@dataclass(frozen=True)
class Slot:
    """Where one field of one column lies in the network's inputs.

    Attributes:
        column: the column's name.
        field: the field.
        input: "scalars", "codes" or "image_0", "image_1", …
        start: first column in the packed matrix; 0 for images.
    """

    column: str
    field: Field
    input: str
    start: int = 0

    @property
    def stop(self) -> int:
        """One past the last column in the packed matrix."""
        return self.start + (int(np.prod(self.field.shape)) if self.field.shape else 1)


@dataclass(frozen=True)
class InputSpec:
    """One input of the network: dtype by its NumPy name, shape of one row."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Schema:
    """All columns of a task, fitted: the one definition of how rows become arrays.

    Attributes:
        inputs: feature columns in the data's order, ignored ones left out.
        target: the column to predict.
        missing_values: texts that stand for a missing value, besides blanks.
    """

    inputs: tuple[FittedColumn, ...]
    target: FittedColumn
    missing_values: tuple[str, ...] = ()

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Where every field of every input column lies."""
        found: list[Slot] = []
        ends = {"scalars": 0, "codes": 0}
        images = 0
        for column in self.inputs:
            for field in column.fields:
                if field.kind == "image":
                    found.append(Slot(column.name, field, f"image_{images}"))
                    images += 1
                else:
                    slot = Slot(column.name, field, f"{field.kind}s", ends[f"{field.kind}s"])
                    ends[slot.input] = slot.stop
                    found.append(slot)
        return tuple(found)

    @cached_property
    def input_specs(self) -> tuple[InputSpec, ...]:
        """The network's inputs, in order: scalars and codes (where there are any), then images."""
        widths = {
            name: max((slot.stop for slot in self.slots if slot.input == name), default=0)
            for name in ("scalars", "codes")
        }
        dtypes = {"scalars": "float32", "codes": "int32"}
        tables = [InputSpec(name, dtypes[name], (width,)) for name, width in widths.items() if width]
        images = [InputSpec(slot.input, "uint8", slot.field.shape) for slot in self.slots if slot.field.kind == "image"]
        return (*tables, *images)

    def encode(self, frame: pl.DataFrame) -> Arrays:
        """Rows as the network's inputs.

        Args:
            frame: N raw rows with at least the input columns; others are not looked at.

        Returns:
            input name → (N, *shape) array, C order.

        Raises:
            DataError: a column is absent or a value is not of its column's type.
        """
        arrays: Arrays = {
            spec.name: np.empty((frame.height, *spec.shape), spec.dtype)
            for spec in self.input_specs
            if spec.name in ("scalars", "codes")
        }
        for column in self.inputs:
            fields = column.encode(self._pick(frame, column.name))
            for slot in self.slots:
                if slot.column == column.name:
                    value = fields[slot.field.name]
                    if slot.field.kind == "image":
                        arrays[slot.input] = value
                    else:
                        arrays[slot.input][:, slot.start : slot.stop] = value.reshape(
                            frame.height, slot.stop - slot.start
                        )
        return {spec.name: arrays[spec.name] for spec in self.input_specs}

    def encode_target(self, frame: pl.DataFrame) -> np.ndarray:
        """The target as (N,) int32 codes or (N,) float32 scaled values. Raises DataError."""
        (field,) = self.target.fields
        return self.target.encode(self._pick(frame, self.target.name))[field.name]

    def dump(self) -> tuple[dict[str, Any], Arrays]:
        """A JSON-able description and the arrays, named `COLUMN/FIELD`."""
        arrays: Arrays = {}

        def one(column: FittedColumn) -> dict[str, Any]:
            values, found = column.state.dump()
            arrays.update({f"{column.name}/{name}": array for name, array in found.items()})
            return {"name": column.name, "type": column.type, "options": dict(column.options), "state": values}

        description = {
            "inputs": [one(column) for column in self.inputs],
            "target": one(self.target),
            "missing_values": list(self.missing_values),
        }
        return description, arrays

    @classmethod
    def load(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Schema:
        """The schema that `dump` gave. Raises DanluError for a column type that is not in the catalogue."""

        def one(item: Mapping[str, Any]) -> FittedColumn:
            kind: type[Column] = catalog.find("columns", item["type"])
            prefix = f"{item['name']}/"
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            state = kind.state_type.load(item["state"], own)
            return FittedColumn(item["name"], item["type"], dict(item["options"]), state)

        inputs = tuple(one(item) for item in values["inputs"])
        return cls(inputs, one(values["target"]), tuple(values["missing_values"]))

    def _pick(self, frame: pl.DataFrame, name: str) -> pl.Series:
        if name not in frame.columns:
            near = nearest(name, frame.columns)
            raise DataError(
                f"the column {name} is not in the data; there are {', '.join(frame.columns[:20]) or 'no columns'}",
                where=f"column {name}",
                hint=f"rename {near} to {name}" if near else f"add a column {name}",
            )
        return nulled(frame[name], self.missing_values)
