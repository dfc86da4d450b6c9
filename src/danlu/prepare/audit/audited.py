"""The rows that an audit looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from danlu.prepare.choose import Chosen


@dataclass(frozen=True)
class Audited:
    """The rows that an audit looks at: split, cleaned, not yet encoded.

    Attributes:
        parsed: input columns' parsed values, (N,) each.
        chosen: every column's type and options.
        target: (N,) parsed, none null.
        codes: (N,) int8, an index into `SPLITS`.
        rows: (N,) numbers in the source.
        picture_hashes: file → SHA-256, where pictures are files.
        others: columns that are not used but tell rows apart (texts, not ids), (N,) each.
        unused: all columns that the inference of types set aside, `others` too; raw values, (N,) each.
        by_chance: whether the rows were split by chance alone.
        today: the day of the audit.
    """

    parsed: Mapping[str, pl.Series]
    chosen: Mapping[str, Chosen]
    target: pl.Series
    codes: np.ndarray
    rows: np.ndarray
    picture_hashes: Mapping[str, str]
    others: Mapping[str, pl.Series] = field(default_factory=dict)
    unused: Mapping[str, pl.Series] = field(default_factory=dict)
    by_chance: bool = False
    today: date = field(default_factory=date.today)

    def type(self, name: str) -> str:
        """A column's type."""
        return self.chosen[name].type

    def of_type(self, *types: str) -> dict[str, pl.Series]:
        """The input columns of some types."""
        return {name: values for name, values in self.parsed.items() if self.type(name) in types}

    @property
    def has_classes(self) -> bool:
        """Whether the target is one of several classes."""
        return self.type(self.target.name) in ("category", "boolean")

    @property
    def compared(self) -> Mapping[str, pl.Series]:
        """The columns that tell whether rows are copies: the inputs, or where there are none, `others`."""
        return self.parsed if len(self.parsed) else self.others

    @cached_property
    def input_keys(self) -> np.ndarray:
        """(N,) uint64, equal where all inputs are; see `compared`."""
        return self.keys(self.compared)

    @cached_property
    def row_keys(self) -> np.ndarray:
        """(N,) uint64, equal where all inputs and the target are."""
        return self.with_target(self.input_keys)

    def keys(self, columns: Mapping[str, pl.Series]) -> np.ndarray:
        """(N,) uint64, equal where these columns are."""
        hashable = [self._hashable(values).alias(str(place)) for place, values in enumerate(columns.values())]
        return pl.DataFrame(hashable).hash_rows(seed=0).to_numpy()

    def with_target(self, keys: np.ndarray) -> np.ndarray:
        """(N,) uint64, equal where both keys and the target are."""
        return pl.DataFrame({"keys": keys, "target": self.target}).hash_rows(seed=0).to_numpy()

    def _hashable(self, values: pl.Series) -> pl.Series:
        """Pictures as hashes of their bytes; all else as it is."""
        if values.name not in self.chosen or self.type(values.name) != "image":
            return values
        if values.dtype == pl.String:
            hashes = self.picture_hashes
            return pl.Series(
                [hashes.get(one, one) if one is not None else None for one in values.to_list()], dtype=pl.String
            )
        if isinstance(values.dtype, pl.Array) and not values.null_count():
            array = np.ascontiguousarray(values.to_numpy())
            return pl.Series([array[row].tobytes() for row in range(len(array))], dtype=pl.Binary).hash(seed=0)
        if values.dtype == pl.Binary:
            return values.hash(seed=0)
        return pl.Series([hash(str(one)) for one in values.to_list()], dtype=pl.Int64)
