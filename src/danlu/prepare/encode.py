"""Encoded splits on disk: one `.npy` for every input of the network, written in stretches to save memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from danlu.base.progress import Task
from danlu.columns.schema import InputSpec, Schema

_STRETCH_BYTES = 64 << 20


def encode_split(schema: Schema, frame: pl.DataFrame, rows: np.ndarray, folder: Path, task: Task) -> None:
    """Encode one split.

    Args:
        schema: the fitted columns.
        frame: N raw rows.
        rows: (N,) their numbers in the source.
        folder: gets `INPUT.npy` for every input, `target.npy` and `rows.npy`.
        task: told of every row.

    Raises:
        DataError: a value is not of its column's type.
        OSError: the disk is full.
    """
    folder.mkdir(parents=True)
    (field,) = schema.target.fields
    target = InputSpec("target", "int32" if field.kind == "code" else "float32", ())
    specs = (*schema.input_specs, target)
    size = sum(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in specs)
    stretch = max(256, min(65536, _STRETCH_BYTES // max(size, 1)))
    with contextlib.ExitStack() as stack:
        files = {spec.name: stack.enter_context(_array_file(folder, spec, frame.height)) for spec in specs}
        for start in range(0, frame.height, stretch):
            part = frame[start : start + stretch]
            arrays = {**schema.encode(part), "target": schema.encode_target(part)}
            for spec in specs:
                array = np.ascontiguousarray(arrays[spec.name], spec.dtype)
                assert array.shape == (part.height, *spec.shape), (spec.name, array.shape)
                files[spec.name].write(array.data)
            task.advance(part.height)
    with open(folder / "rows.npy", "wb") as file:
        np.save(file, rows.astype(np.int64), allow_pickle=False)


@contextlib.contextmanager
def _array_file(folder: Path, spec: InputSpec, num_rows: int) -> Iterator[IO[bytes]]:
    """A `.npy` file whose head is written and whose rows are yet to come.

    Plain writes and no memory map: on a full disk a write fails with an error, a map with the death of the process.
    """
    with open(folder / f"{spec.name}.npy", "wb") as file:
        head = {"descr": np.dtype(spec.dtype).str, "fortran_order": False, "shape": (num_rows, *spec.shape)}
        np.lib.format.write_array_header_1_0(file, head)
        yield file


def write_raw(schema: Schema, frame: pl.DataFrame, path: Path) -> None:
    """The raw rows' inputs and target as Arrow IPC."""
    names = [*(column.name for column in schema.inputs), schema.target.name]
    frame.select(names).rechunk().write_ipc(path)
