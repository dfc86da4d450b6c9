"""What preparation hands on: encoded splits on disk, the fitted columns and the audit's findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from danlu.columns.column import Arrays
from danlu.columns.schema import Schema

SPLITS = ("train", "validation", "test")
# Rows' splits as numbers; a row left out is in none of `SPLITS`.
TRAIN, VALIDATION, TEST, LEFT_OUT = range(4)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing the audit noticed.

    Attributes:
        key: what `prepare.accept` names ("duplicate_rows", "leak:age").
        severity: an `error` stops the run unless it is accepted; a `warning` and a `note` are recorded.
        message: what was seen, with counts.
        columns: the columns it is about.
        rows: some rows of the source it is about, from 0.
        remedy: what to do about it.
        evidence: the figures behind it.
    """

    key: str
    severity: Literal["error", "warning", "note"]
    message: str
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """One encoded split, memory-mapped.

    Attributes:
        inputs: the network's inputs: name → (N, *shape).
        target: (N,) int32 codes or float32 scaled values; (N, K) float32 labels; (N, T) int32 tags.
        rows: (N,) int64, each row's number in the source, from 0 (files and splits counted on, in their order).
    """

    inputs: Arrays
    target: np.ndarray
    rows: np.ndarray

    @property
    def num_rows(self) -> int:
        """N."""
        return len(self.target)


@dataclass(frozen=True)
class Prepared:
    """The value that `prepare` returns.

    Attributes:
        folder: where the encoded splits are; shared by runs with the same content.
        schema: the fitted columns.
        findings: what the audit noticed.
        sizes: rows in each of `SPLITS`.
        fingerprint: of all that went in: data, recipe section, code.
        profile: column name → JSON-able figures for the report (type, missing share, distinct values, quantiles).
    """

    folder: Path
    schema: Schema
    findings: tuple[Finding, ...]
    sizes: Mapping[str, int]
    fingerprint: str
    profile: Mapping[str, Any]

    def split(self, name: str) -> Split:
        """The encoded split of that name, memory-mapped read-only."""
        root = self.folder / name
        inputs = {spec.name: np.load(root / f"{spec.name}.npy", mmap_mode="r") for spec in self.schema.input_specs}
        return Split(inputs, np.load(root / "target.npy", mmap_mode="r"), np.load(root / "rows.npy", mmap_mode="r"))

    def raw(self, name: str) -> pl.DataFrame:
        """The raw rows of a split as they were read (`validation` and `test` only), in the order of `split(name)`."""
        parts = sorted((self.folder / name / "raw").glob("*.arrow"))
        return pl.concat([pl.read_ipc(part.read_bytes()) for part in parts], how="vertical_relaxed")

    @cached_property
    def num_classes(self) -> int:
        """Classes of the target; 0 where it is not one of several classes."""
        (target,) = self.schema.target.fields
        return target.num_codes if target.kind == "code" else 0
