"""Open a bundle and predict with it, on ONNX Runtime, without torch."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danlu.base.errors import BundleError, DanluError, DataError, ExportError
from danlu.bundle.checking import read_bundle
from danlu.bundle.format import (
    CARD,
    COLUMN_ARRAYS,
    COLUMNS,
    MODEL,
    PARITY,
    SCORECARD,
    WEIGHTS,
    damaged,
    parse_json,
)
from danlu.bundle.graph import check_graph
from danlu.bundle.replies import reply_frame, reply_objects
from danlu.columns.column import Arrays
from danlu.columns.schema import Schema, rows_at_once
from danlu.export.session import input_types, open_session
from danlu.tasks.task import Answers, Task, task_for

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# N rows, K width of the network's output

_ENCODED = 1024  # rows that are encoded at once


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model with its preprocessing, checked and ready to predict. Made by `load`.

    Attributes:
        folder: where it was read from.
        manifest: what `manifest.json` says.
        schema: the fitted columns.
        contents: file name → bytes, all but the training weights.
        threads: threads for one prediction.
    """

    folder: Path
    manifest: Mapping[str, Any]
    schema: Schema
    contents: Mapping[str, bytes] = field(repr=False)
    threads: int = 1
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        """Twelve letters that change with any byte of the bundle."""
        return str(self.manifest["hash"])[:12]

    @cached_property
    def task(self) -> Task:
        """What is predicted."""
        return task_for(self.schema.target)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes' names in the order of their codes; none for a number."""
        return self.schema.target.labels

    @cached_property
    def scorecard(self) -> dict[str, Any]:
        """What evaluation measured; empty where the bundle has none."""
        return self._json(SCORECARD)

    @cached_property
    def parity(self) -> dict[str, Any]:
        """The proof that what is served is what was trained; empty where the bundle has none."""
        return self._json(PARITY)

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self.contents.get(CARD, b"").decode("utf-8")

    def _json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = parse_json(name, self.contents[name]) if name in self.contents else {}
        return found

    @property
    def session(self) -> InferenceSession:
        """The network on ONNX Runtime, made at the first use. Raises BundleError where it cannot be."""
        with self._lock:
            if "_session" not in self.__dict__:
                made = _open(self.contents[MODEL], self.threads)
                _check_inputs(made, self.schema)
                self.__dict__["_session"] = made
        session: InferenceSession = self.__dict__["_session"]
        return session

    def predict(self, rows: Any) -> pl.DataFrame:
        """Answers for raw rows, in their order.

        Args:
            rows: a Polars, pandas or Arrow frame, dicts, a dict of lists, or a path. Columns that the model does not
                use are not looked at; missing and never-seen values are answered.

        Returns:
            N rows: `prediction` (a label, a truth value, a number in the target's own unit, a list of labels or tags)
            and, for classes and labels, `probability_LABEL` for each, float64; more for other tasks, see
            `replies.reply_frame`.

        Raises:
            DataError: a column is absent, a value is not of its column's type, or so large that the network's numbers
                overflow; names column and row.
        """
        frame = _as_frame(rows, self.schema)
        return self.answer_frame(self.answers(self.frame_outputs(frame)), frame)

    def answers(self, outputs: np.ndarray) -> Answers:
        """What (N, *output_shape) outputs say.

        Raises:
            DataError: a row's are NaN or infinite, which JSON does not have; names the first such row.
        """
        finite = np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim)))
        if not finite.all():
            row = int(finite.argmin())
            raise DataError(
                f"row {row} has no answer: its numbers are too large for the network",
                where=f"row {row}",
                hint="look for a number that lies far from all that was trained on, and mend it or leave it empty",
            )
        return self.task.answers(outputs)

    def outputs(self, rows: Any) -> np.ndarray:
        """The network's raw outputs for raw rows, (N, *output_shape) float32. Raises DataError."""
        return self.frame_outputs(_as_frame(rows, self.schema))

    def frame_outputs(self, frame: pl.DataFrame) -> np.ndarray:
        """The same for a frame whose columns are as a reader gives them; no source is read. Raises DataError."""
        size = rows_at_once({spec.name: spec.shape for spec in self.schema.input_specs})
        parts = []
        for start in range(0, frame.height, _ENCODED):
            inputs = _encode(self.schema, frame.slice(start, _ENCODED), start)
            count = len(next(iter(inputs.values())))
            parts += [
                self.run({name: array[first : first + size] for name, array in inputs.items()})
                for first in range(0, count, size)
            ]
        if not parts:
            _encode(self.schema, frame, 0)  # an absent column is named even where there is no row
            return np.empty((0, *self.task.output_shape), np.float32)
        return np.concatenate(parts)

    def run(self, inputs: Arrays) -> np.ndarray:
        """The network's outputs for one batch of encoded inputs, (B, K) float32. May be called from many threads."""
        (found,) = self.session.run(["outputs"], inputs)
        result: np.ndarray = found
        return result

    def answer_frame(self, answers: Answers, rows: pl.DataFrame | None = None) -> pl.DataFrame:
        """Answers as `predict` returns them; `rows` are the raw ones they answer."""
        return reply_frame(self.task, self.schema, answers, rows)

    def answer_objects(self, answers: Answers, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """Answers as a server gives them."""
        return reply_objects(self.task, self.schema, answers, rows)


def load(path: str | Path, *, threads: int = 1) -> Bundle:
    """Open a bundle: every file is checked against the manifest first, and nothing in it is run.

    Args:
        path: the bundle's folder.
        threads: threads for one prediction.

    Raises:
        BundleError: it is damaged, of a newer format, or holds what a bundle may not; names the file.
    """
    folder = Path(path)
    manifest, contents = read_bundle(folder)
    check_graph(MODEL, contents[MODEL])
    if WEIGHTS in manifest["files"]:
        _check_weights(folder / WEIGHTS)
    bundle = Bundle(folder, manifest, _read_schema(contents), contents, threads)
    _check_parity(bundle)
    return bundle


def _open(model: bytes, threads: int) -> InferenceSession:
    try:
        return open_session(model, threads)
    except ExportError as error:
        raise BundleError(f"{MODEL}: {error.message}", where=MODEL) from error


def _check_inputs(session: InferenceSession, schema: Schema) -> None:
    """The graph must take what the columns give and give what the task reads."""
    given = {spec.name: (spec.dtype, spec.shape) for spec in schema.input_specs}
    taken = input_types(session)
    if given != taken:
        raise damaged(MODEL, f"it takes {taken}, the columns give {given}")
    outputs = [item.name for item in session.get_outputs()]
    if outputs != ["outputs"]:
        raise damaged(MODEL, f'it gives {outputs}, expected "outputs"')


def _read_schema(contents: Mapping[str, bytes]) -> Schema:
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_arrays

    try:
        arrays = load_arrays(contents[COLUMN_ARRAYS])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(COLUMN_ARRAYS, str(error)) from error
    description = parse_json(COLUMNS, contents[COLUMNS])
    try:
        return Schema.load(description, arrays)
    except DanluError as error:
        raise BundleError(f"{COLUMNS}: {error.message}", where=COLUMNS, hint=error.hint) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(COLUMNS, f"its content is not that of fitted columns ({error})") from error


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise damaged(WEIGHTS, str(error)) from error


def _check_parity(bundle: Bundle) -> None:
    """A proof that was made for other files than these proves nothing."""
    files = bundle.manifest["files"]
    for name, digest in bundle.parity.get("files", {}).items():
        if files.get(name, {}).get("sha256") != digest:
            raise BundleError(
                f"{PARITY} proves another {name} than the bundle's",
                where=PARITY,
                hint="deploy again",
            )


def _as_frame(rows: Any, schema: Schema) -> pl.DataFrame:
    if isinstance(rows, pl.DataFrame):
        from danlu.prepare.sources.nested import flattened

        return flattened(rows)
    if isinstance(rows, (list, tuple)) and not rows:  # no row says which columns there are
        return pl.DataFrame(schema=dict.fromkeys((column.name for column in schema.inputs), pl.String))
    from danlu.prepare.sources.reading import read_rows

    return read_rows(rows)


def _encode(schema: Schema, batch: pl.DataFrame, start: int) -> Arrays:
    """Encode one batch; the rows in an error count from the first row of all."""
    try:
        return schema.encode(batch)
    except DataError as error:
        if "data." in error.hint:  # how to mend a recipe; whoever asks a trained model can only mend the row
            error.hint = "mend the value, or leave it empty (null) where it is missing"
        if start:
            error.where = re.sub(
                r"\brow (\d+)",
                lambda match: f"row {int(match[1]) + start}",
                error.where,
            )
        raise
