"""Encoded splits on disk: one `.npy` for every input of the network, written in stretches to save memory."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.base.progress import Task
from danlu.columns.column import Arrays
from danlu.columns.schema import InputSpec, Schema
from danlu.prepare.columnar import Frame, Gathering, parts
from danlu.prepare.fitting import EncodedColumn
from danlu.prepare.prepared import SPLITS

_STRETCH_BYTES = 32 << 20
_RAW_BYTES = 16 << 20


def write_splits(
    schema: Schema,
    encoded: Sequence[EncodedColumn],
    pictures: Mapping[str, pl.Series],
    codes: np.ndarray,
    rows: np.ndarray,
    folder: Path,
    task: Task,
) -> None:
    """Pack the encoded columns of every row into those of its split.

    Args:
        schema: the fitted columns.
        encoded: its inputs and then its target.
        pictures: (N,) parsed values of the columns that are encoded now.
        codes: (N,) int8, an index into `SPLITS`.
        rows: (N,) their numbers in the source.
        folder: gets `SPLIT/INPUT.npy` for every input, `SPLIT/target.npy` and `SPLIT/rows.npy`.
        task: told of every row.

    Raises:
        OSError: the disk is full.
    """
    (field,) = schema.target.fields
    target = InputSpec("target", "float32" if field.kind == "scalar" else "int32", field.shape)
    numbers = InputSpec("rows", "int64", ())
    specs = (*schema.input_specs, target, numbers)
    size = sum(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in specs)
    stretch = max(256, min(65536, _STRETCH_BYTES // max(size, 1)))
    counts = np.bincount(codes, minlength=len(SPLITS))
    with contextlib.ExitStack() as stack:
        files = {
            (code, spec.name): stack.enter_context(_array_file(folder / name, spec, int(counts[code])))
            for code, name in enumerate(SPLITS)
            for spec in specs
        }
        for start in range(0, len(codes), stretch):
            stop = min(start + stretch, len(codes))
            with _source_rows(rows[start:stop]):
                arrays = _packed(schema, encoded, pictures, start, stop)
            arrays["target"] = encoded[-1].stretch(field.name, start, stop)
            arrays["rows"] = rows[start:stop]
            for code in range(len(SPLITS)):
                own = np.flatnonzero(codes[start:stop] == code)
                for spec in specs:
                    array = np.ascontiguousarray(arrays[spec.name][own], spec.dtype)
                    assert array.shape == (len(own), *spec.shape), (spec.name, array.shape)
                    files[code, spec.name].write(array.data)
            task.advance(stop - start)


def _packed(
    schema: Schema, encoded: Sequence[EncodedColumn], pictures: Mapping[str, pl.Series], start: int, stop: int
) -> Arrays:
    """Some rows as the network's inputs."""
    arrays: Arrays = {
        spec.name: np.empty((stop - start, *spec.shape), spec.dtype)
        for spec in schema.input_specs
        if spec.name in ("scalars", "codes")
    }
    for one in encoded[:-1]:
        name = one.fitted.name
        fields = {} if one.arrays else schema.encode_column(one.fitted, {name: pictures[name][start:stop]})
        for slot in schema.column_slots[name]:
            value = fields[slot.field.name] if fields else one.stretch(slot.field.name, start, stop)
            if slot.is_whole:
                arrays[slot.input] = value
            else:
                arrays[slot.input][:, slot.start : slot.stop] = value.reshape(stop - start, slot.stop - slot.start)
    return arrays


@contextlib.contextmanager
def _source_rows(rows: np.ndarray) -> Iterator[None]:
    """Name rows by their numbers in the source in errors that name them by their places."""
    try:
        yield
    except DataError as error:
        error.where = re.sub(r"\brow (\d+)$", lambda match: f"row {rows[int(match[1])]}", error.where)
        raise


@contextlib.contextmanager
def _array_file(folder: Path, spec: InputSpec, num_rows: int) -> Iterator[IO[bytes]]:
    """A `.npy` file whose head is written and whose rows are yet to come.

    Plain writes and no memory map: on a full disk a write fails with an error, a map with the death of the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{spec.name}.npy", "wb") as file:
        head = {"descr": np.dtype(spec.dtype).str, "fortran_order": False, "shape": (num_rows, *spec.shape)}
        np.lib.format.write_array_header_1_0(file, head)
        yield file


def write_raw(frame: Frame, names: Sequence[str], places: np.ndarray, codes: np.ndarray, folder: Path) -> None:
    """The validation and test rows as they were read, in parts: `SPLIT/raw/00000.arrow`, ….

    Args:
        frame: all rows that were read.
        names: the columns to write.
        places: (N,) the used rows' places in it, increasing.
        codes: (N,) their splits.
        folder: where the splits' folders are.

    Raises:
        OSError: the disk is full.
    """
    written = {
        code: Gathering(folder / name / "raw", _RAW_BYTES) for code, name in enumerate(SPLITS) if name != "train"
    }
    start = 0
    for part in parts(frame, names):
        first, last = np.searchsorted(places, (start, start + part.height))
        for code, rows in written.items():
            own = places[first:last][codes[first:last] == code] - start
            if len(own):
                rows.add(part[own])
        start += part.height
    for rows in written.values():
        rows.write()
