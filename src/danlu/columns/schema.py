"""All columns of a task together: how raw rows become the network's inputs, in training as in serving.

    raw rows  --mask, parse-->  each column's values  --fill-->  fewer missing  --encode-->  fields  --pack-->  inputs

All scalars of a table become one matrix, all codes another, so that a training step gathers two arrays however many
columns there are; a picture, a series and a sequence of tokens are an input each. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from danlu import catalog
from danlu.base.errors import DataError, nearest
from danlu.columns.column import WHOLE_KINDS, Arrays, Column, Field, FittedColumn, nulled
from danlu.columns.fillers.filler import Filler, FittedFiller
from danlu.columns.filling import encode_column, looks_at
from danlu.columns.gathered import Gathered
from danlu.columns.masking import Masks
from danlu.columns.side import SideTable

_NO_MASKS = Masks()
_WHOLE_DTYPES = {"image": "uint8", "series": "float32", "tokens": "int32"}
_MOST_ROWS = 1024
_STEPS = 1 << 14  # of tokens or of a series in all rows: in a layer of BERT's, each is 3072 numbers
_PIXELS = 1 << 20  # likewise: in the first layers of a ResNet, each is 16 numbers


@dataclass(frozen=True)
class Slot:
    """Where one field of one column lies in the network's inputs.

    Attributes:
        column: the column's name.
        field: the field.
        input: "scalars", "codes" or "image_0", "image_1", …, "series_0", …, "tokens_0", …
        start: first column in the packed matrix; 0 for inputs of one field.
        filled: whether the column has fillers: its value then counts even in rows where it was missing.
    """

    column: str
    field: Field
    input: str
    start: int = 0
    filled: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the field is an input of its own."""
        return self.field.kind in WHOLE_KINDS

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
        fillers: what fills missing values before they are encoded, in order.
        masks: what raw values go through before anything else.
        sides: side tables, in which columns that rows lack are looked up.
        gathered: series that are made of several columns, where rows bring those.
    """

    inputs: tuple[FittedColumn, ...]
    target: FittedColumn
    missing_values: tuple[str, ...] = ()
    fillers: tuple[FittedFiller, ...] = ()
    masks: Masks = _NO_MASKS
    sides: tuple[SideTable, ...] = ()
    gathered: tuple[Gathered, ...] = ()

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Where every field of every input column lies."""
        found: list[Slot] = []
        ends = {"scalars": 0, "codes": 0}
        whole = dict.fromkeys(WHOLE_KINDS, 0)
        filled = {name for one in self.fillers for name in one.filler.columns}
        for column in self.inputs:
            for field in column.fields:
                if field.kind in WHOLE_KINDS:
                    found.append(Slot(column.name, field, f"{field.kind}_{whole[field.kind]}"))
                    whole[field.kind] += 1
                else:
                    packed = f"{field.kind}s"
                    slot = Slot(column.name, field, packed, ends[packed], filled=column.name in filled)
                    ends[slot.input] = slot.stop
                    found.append(slot)
        return tuple(found)

    @cached_property
    def column_slots(self) -> dict[str, tuple[Slot, ...]]:
        """Input column → where its fields lie."""
        return {one.name: tuple(slot for slot in self.slots if slot.column == one.name) for one in self.inputs}

    @cached_property
    def presence(self) -> dict[str, Slot]:
        """Input column that rows may lack → the slot that tells: its scalar "missing", or its series or tokens."""
        return {one.name: self.column_slots[one.name][-1] for one in self.inputs if one.optional}

    def encoded_slots(self, column: FittedColumn) -> tuple[Slot, ...]:
        """A column's slots that its encoder takes: all but the scalar that tells whether rows lack it."""
        slots = self.column_slots[column.name]
        return tuple(slot for slot in slots if slot.is_whole) if column.optional else slots

    @cached_property
    def input_specs(self) -> tuple[InputSpec, ...]:
        """The network's inputs, in order: scalars and codes (where there are any), then pictures, series and tokens."""
        widths = {
            name: max((slot.stop for slot in self.slots if slot.input == name), default=0)
            for name in ("scalars", "codes")
        }
        dtypes = {"scalars": "float32", "codes": "int32"}
        tables = [InputSpec(name, dtypes[name], (width,)) for name, width in widths.items() if width]
        whole = [
            InputSpec(slot.input, _WHOLE_DTYPES[kind], slot.field.shape)
            for kind in WHOLE_KINDS
            for slot in self.slots
            if slot.field.kind == kind
        ]
        return (*tables, *whole)

    def encode(self, frame: pl.DataFrame, training: np.ndarray | None = None) -> Arrays:
        """Rows as the network's inputs.

        Args:
            frame: N raw rows with at least the input columns; others are not looked at.
            training: (N,) int64, a training row's number in the source, -1 for all other rows; None where none trains.

        Returns:
            input name → (N, *shape) array, C order.

        Raises:
            DataError: a column is absent or a value is not of its column's type.
        """
        parsed = self.parse(frame)
        arrays: Arrays = {
            spec.name: np.empty((frame.height, *spec.shape), spec.dtype)
            for spec in self.input_specs
            if spec.name in ("scalars", "codes")
        }
        for column in self.inputs:
            fields = self.encode_column(column, parsed, training)
            for slot in self.column_slots[column.name]:
                value = fields[slot.field.name]
                if slot.is_whole:
                    arrays[slot.input] = value
                else:
                    arrays[slot.input][:, slot.start : slot.stop] = value.reshape(frame.height, slot.stop - slot.start)
        return {spec.name: arrays[spec.name] for spec in self.input_specs}

    def parse(self, frame: pl.DataFrame) -> dict[str, pl.Series]:
        """Every input column's values, (N,) each, in the column's own dtype. Raises DataError."""
        frame = self.complete(frame)
        return {one.name: one.parse(self._pick(frame, one.name)) for one in self.inputs}

    def complete(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with the columns that they lack and a side table has for their keys, and series made of several."""
        for side in self.sides:
            frame = side.complete(frame, self.missing_values)
        for one in self.gathered:
            if one.name not in frame.columns:
                frame = one.complete(self._masked(frame, one.columns), self.missing_values)
            elif self.masks.columns.keys() & set(one.columns):  # they hold for a whole series too
                parts = self._masked(one.scatter(frame[one.name], self.missing_values), one.columns)
                frame = frame.with_columns(one.gather(parts, self.missing_values))
        return frame

    def _masked(self, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """Rows with these columns masked, where they have them and masks are at work."""
        there = [name for name in names if name in frame.columns] if self.masks else []
        return frame.with_columns([self.masks.series(frame[name], self.missing_values) for name in there])

    def looks_at(self, name: str) -> tuple[str, ...]:
        """The input columns whose values `encode_column` needs for one of them: itself, and what it is filled by."""
        return looks_at(name, self.fillers)

    def encode_column(
        self, column: FittedColumn, parsed: Mapping[str, pl.Series], training: np.ndarray | None = None
    ) -> Arrays:
        """One input column's fields, see `filling.encode_column`.

        Args:
            column: one of `inputs`.
            parsed: N rows' values of it, and of every column that it looks at.
            training: (N,) int64, a training row's number in the source, -1 for all other rows; None where none trains.

        Returns:
            field name → (N, *shape) array.
        """
        return encode_column(column, self.fillers, parsed, training)

    def encode_target(self, frame: pl.DataFrame) -> np.ndarray:
        """The target as (N,) int32 codes or (N,) float32 scaled values. Raises DataError."""
        (field,) = self.target.fields
        return self.target.encode(self._pick(frame, self.target.name))[field.name]

    def check_key(self) -> None:
        """Raise DataError where rows can only be masked with a key that the environment does not hold."""
        self.masks.check_key([column.name for column in self.inputs])

    def dump(self) -> tuple[dict[str, Any], Arrays]:
        """A JSON-able description and the arrays, named `COLUMN/FIELD`."""
        arrays: Arrays = {}

        def one(column: FittedColumn) -> dict[str, Any]:
            values, found = column.state.dump()
            arrays.update({f"{column.name}/{name}": array for name, array in found.items()})
            return {"name": column.name, "type": column.type, "options": dict(column.options), "state": values}

        description: dict[str, Any] = {
            "inputs": [one(column) for column in self.inputs],
            "target": one(self.target),
            "missing_values": list(self.missing_values),
            "fillers": [],
        }
        if self.masks:
            description["masks"] = self.masks.dump()
        for place, filler in enumerate(self.fillers):
            state, found = filler.state.dump()
            arrays.update({f"{_filler_prefix(place)}{name}": array for name, array in found.items()})
            description["fillers"].append({"name": filler.name, "options": dict(filler.options), "state": state})
        for place, side in enumerate(self.sides):
            told, found = side.dump(_side_prefix(place))
            arrays.update(found)
            description.setdefault("sides", []).append(told)
        if self.gathered:
            description["gathered"] = [one.dump() for one in self.gathered]
        return description, arrays

    @classmethod
    def load(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Schema:
        """The schema that `dump` gave.

        Raises:
            DanluError: a column type or a filler is not in the catalogue.
            ValueError: a filler's options are wrong, or it names what is no input.
        """

        def one(item: Mapping[str, Any]) -> FittedColumn:
            kind: type[Column] = catalog.find("columns", item["type"])
            state = kind.state_type.load(item["state"], _directly_below(arrays, item["name"]))
            return FittedColumn(item["name"], item["type"], dict(item["options"]), state)

        def filler(place: int, item: Mapping[str, Any]) -> FittedFiller:
            kind: type[Filler] = catalog.find("fillers", item["name"])
            state = kind.state_type.load(item["state"], _below(arrays, _filler_prefix(place)))
            fitted = FittedFiller(item["name"], dict(item["options"]), state)
            if absent := {*fitted.filler.columns, *fitted.filler.looks_at()} - {one.name for one in inputs}:
                raise ValueError(f"the filler {item['name']} names {', '.join(sorted(absent))}, which are no inputs")
            return fitted

        inputs = tuple(one(item) for item in values["inputs"])
        fillers = tuple(filler(place, item) for place, item in enumerate(values.get("fillers", ())))
        masks = Masks.load(values["masks"]) if "masks" in values else _NO_MASKS
        sides = tuple(
            SideTable.load(item, arrays, _side_prefix(place)) for place, item in enumerate(values.get("sides", ()))
        )
        gathered = tuple(Gathered.load(item) for item in values.get("gathered", ()))
        return cls(inputs, one(values["target"]), tuple(values["missing_values"]), fillers, masks, sides, gathered)

    def _pick(self, frame: pl.DataFrame, name: str) -> pl.Series:
        if name not in frame.columns:
            if self._may_lack(name, frame.columns):
                return pl.Series(name, [None] * frame.height, dtype=pl.Null)
            near = nearest(name, frame.columns)
            side = next((one for one in self.sides if name in one.names), None)
            by = f", or {' and '.join(side.key)}, by which it is looked up" if side else ""
            others = [one.name for one in self.inputs if self._lacks(one.name, frame.columns) and one.name != name]
            nor = f", nor {'is' if len(others) == 1 else 'are'} {', '.join(others[:20])}" if others else ""
            raise DataError(
                f"the column {name} is not in the data{nor}; there are {', '.join(frame.columns[:20]) or 'no columns'}",
                where=f"column {name}",
                hint=f"rename {near} to {name}" if near else f"add a column {name}{by}",
            )
        return nulled(self.masks.series(frame[name], self.missing_values), self.missing_values)

    def _lacks(self, name: str, there: Sequence[str]) -> bool:
        """Whether a frame lacks a column that it may not lack."""
        return name not in there and not self._may_lack(name, there)

    def _may_lack(self, name: str, there: Sequence[str]) -> bool:
        """Whether a frame may lack a column, and none of the others that are there has nearly its name."""
        names = {one.name for one in self.inputs}
        return name in self.presence and not nearest(name, [one for one in there if one not in names])


def rows_at_once(shapes: Mapping[str, Sequence[int]]) -> int:
    """How many rows a network is given at once where it only answers: fewer, the longer or larger a row is.

    What lies between its layers takes memory by rows × steps: 6 GB in one layer of BERT for 1,024 texts of 512 tokens.

    Args:
        shapes: input name → shape of one row.

    Returns:
        1 to 1,024.
    """
    found = _MOST_ROWS
    for name, shape in shapes.items():
        if name not in ("scalars", "codes"):
            places = _PIXELS // max(1, shape[0] * shape[1]) if len(shape) == 3 else _STEPS // max(1, shape[0])
            found = min(found, places)
    return max(1, found)


def _filler_prefix(place: int) -> str:
    """What the names of a filler's arrays begin with; so no column is called."""
    return f"fillers\n{place}/"


def _side_prefix(place: int) -> str:
    """What the names of a side table's arrays begin with."""
    return f"sides\n{place}/"


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays whose names begin so, without that."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _directly_below(arrays: Mapping[str, np.ndarray], column: str) -> Arrays:
    """The arrays of one column without its name; those of a column `a/b` are none of a column `a`."""
    places = {name: name.rpartition("/") for name in arrays}
    return {field: arrays[name] for name, (above, _, field) in places.items() if above == column}
