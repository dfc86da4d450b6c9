"""The rows that an audit looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.base.archives import mark
from danlu.prepare.choose import Chosen
from danlu.prepare.columnar import expanded, in_slices

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours are spread far apart


@dataclass(frozen=True)
class Some(Mapping[str, pl.Series]):
    """Some of several columns, each read when it is asked for.

    Attributes:
        columns: all of them.
        names: which, in this order.
    """

    columns: Mapping[str, pl.Series]
    names: tuple[str, ...]

    def __getitem__(self, name: str) -> pl.Series:
        if name not in self.names:
            raise KeyError(name)
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Chained(Mapping[str, pl.Series]):
    """The columns of several tables, each read when it is asked for; of one name, that of the first."""

    def __init__(self, *tables: Mapping[str, pl.Series]) -> None:
        self._tables = {name: table for table in reversed(tables) for name in table}
        self._names = tuple(dict.fromkeys(name for table in tables for name in table))

    def __getitem__(self, name: str) -> pl.Series:
        return self._tables[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Audited:
    """The rows that an audit looks at: split, cleaned, not yet encoded.

    A table may be larger than memory: its columns are read one at a time, so that checks hold no more than one or two.

    Attributes:
        parsed: input columns' parsed values, (N,) each.
        chosen: every column's type and options.
        held_target: (N,) parsed, none null; it may be compact, see `columnar.compact`.
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
    held_target: pl.Series
    codes: np.ndarray
    rows: np.ndarray
    picture_hashes: Mapping[str, str]
    others: Mapping[str, pl.Series] = field(default_factory=dict)
    unused: Mapping[str, pl.Series] = field(default_factory=dict)
    by_chance: bool = False
    today: date = field(default_factory=date.today)

    @property
    def target(self) -> pl.Series:
        """(N,) parsed, none null."""
        return expanded(self.held_target)

    @property
    def target_name(self) -> str:
        """The target's name."""
        return self.held_target.name

    def type(self, name: str) -> str:
        """A column's type."""
        return self.chosen[name].type

    def of_type(self, *types: str) -> Mapping[str, pl.Series]:
        """The input columns of some types."""
        return Some(self.parsed, tuple(name for name in self.parsed if self.type(name) in types))

    def without(self, name: str) -> Mapping[str, pl.Series]:
        """The input columns but one."""
        return Some(self.parsed, tuple(other for other in self.parsed if other != name))

    @property
    def all(self) -> Mapping[str, pl.Series]:
        """The input columns, and `others`."""
        return Chained(self.parsed, self.others)

    @property
    def has_classes(self) -> bool:
        """Whether the target is one of several classes."""
        return self.type(self.target_name) in ("category", "boolean")

    @property
    def compared(self) -> Mapping[str, pl.Series]:
        """The columns that tell whether rows are copies: the inputs, or where there are none, `others`."""
        return self.parsed if len(self.parsed) else self.others

    @cached_property
    def input_keys(self) -> np.ndarray:
        """(N,) uint64, equal where all inputs are; see `compared`."""
        return self.keys(self.compared)

    @property
    def row_keys(self) -> np.ndarray:
        """(N,) uint64, equal where all inputs and the target are."""
        return self.with_target(self.input_keys)

    def keys(self, columns: Mapping[str, pl.Series]) -> np.ndarray:
        """(N,) uint64, equal where these columns are."""
        found = np.zeros(len(self.codes), np.uint64)
        for place, values in enumerate(columns.values()):
            mix(found, self._hashable(values).hash(seed=place).to_numpy())
        return found

    def with_target(self, keys: np.ndarray) -> np.ndarray:
        """(N,) uint64, equal where both keys and the target are; a pair is told by its two columns alone."""
        if self.type(self.target_name) == "pair":
            return keys
        return mix(keys.copy(), self.held_target.hash(seed=0).to_numpy())

    def _hashable(self, values: pl.Series) -> pl.Series:
        """Pictures and sounds as hashes of their bytes; all else as it is."""
        if values.name not in self.chosen or self.type(values.name) not in ("image", "audio"):
            return values
        if values.dtype == pl.String:
            hashes = self.picture_hashes
            return pl.Series(
                [hashes.get(one) or mark(one) if one is not None else None for one in values.to_list()], dtype=pl.String
            )
        if isinstance(values.dtype, pl.Array) and not values.null_count():
            array = np.ascontiguousarray(values.to_numpy())
            return pl.Series([array[row].tobytes() for row in range(len(array))], dtype=pl.Binary).hash(seed=0)
        if values.dtype == pl.Binary:
            return values.hash(seed=0)
        return pl.Series([hash(str(one)) for one in values.to_list()], dtype=pl.Int64)


def mix(keys: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Keys (N,) uint64 with the hashes of one more column taken in, in place."""
    keys ^= more
    keys *= _ODD
    keys ^= keys >> np.uint64(29)
    return keys


def found_in(keys: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) bool, whether each key is one of the others; these are sorted."""
    if not len(others):
        return np.zeros(len(keys), bool)
    found: np.ndarray = others[np.minimum(np.searchsorted(others, keys), len(others) - 1)] == keys
    return found


def where(values: pl.Series, tell: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """(N,) what `tell` says of a column, some rows at a time."""
    return pl.concat([tell(some) for _, some in in_slices(values)]) if len(values) else tell(values)


def drawn(name: str, count: int, most: int) -> np.ndarray:
    """At most `most` of the places 0 … count - 1, drawn by chance, in no order; the same for a name at every time."""
    random = seeds.generator(0, name)
    return random.permutation(count) if count <= most else random.choice(count, most, replace=False)
