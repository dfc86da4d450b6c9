"""All masks of a table together: what is masked is masked before anything looks at it, in training as in serving.

    raw rows  --masks-->  masked rows  --everything else

A column has its own mask, or those of the kinds of personal data that are recognised inside its texts. Each value is
masked by itself, and what is masked already passes unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl

from danlu import catalog
from danlu.base.registry import build
from danlu.columns.category import read_categories
from danlu.columns.column import nulled
from danlu.columns.masks.drop import Drop
from danlu.columns.masks.key import Key, read_key
from danlu.columns.masks.mask import Mask
from danlu.columns.masks.redact import mask_spans

VARIABLE = "DANLU_MASK_KEY"
_LONG = 10**10


@dataclass(frozen=True)
class Masks:
    """The masks of a table. They hold no key: it is read from the environment whenever a keyed mask is at work.

    Attributes:
        columns: column → its mask's name and options.
        kinds: kind of personal data → the mask (name and options) of what is recognised in texts, and in numbers of
            eleven digits and more, of other columns.
        skip: columns that `kinds` leaves alone.
        variable: the environment variable that holds the key.
        key_check: the key's `check`, "" where no mask is keyed.
    """

    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    variable: str = VARIABLE
    key_check: str = ""

    def __bool__(self) -> bool:
        return bool(self.columns or self.kinds)

    @cached_property
    def _of_columns(self) -> dict[str, Mask]:
        return {name: _built(given) for name, given in self.columns.items()}

    @cached_property
    def _of_kinds(self) -> dict[str, Mask]:
        return {kind: _built(given) for kind, given in self.kinds.items()}

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that are left out."""
        return tuple(name for name, mask in self._of_columns.items() if isinstance(mask, Drop))

    @property
    def are_keyed(self) -> bool:
        """Whether any of them needs the key."""
        return any(mask.is_keyed for mask in (*self._of_columns.values(), *self._of_kinds.values()))

    def need_key(self, names: Collection[str]) -> bool:
        """Whether masking these columns needs the key."""
        return any(mask.is_keyed for name in names for mask in self._at(name))

    def _at(self, name: str) -> tuple[Mask, ...]:
        """What is at work in a column."""
        if name in self._of_columns:
            return (self._of_columns[name],)
        return () if name in self.skip else tuple(self._of_kinds.values())

    def with_check(self) -> Masks:
        """The same for the key that the environment holds now. Raises DataError where one is needed and not there."""
        return replace(self, key_check=read_key(self.variable).check) if self.are_keyed else self

    def check_key(self, names: Collection[str]) -> None:
        """Raise DataError where masking these columns needs a key that the environment does not hold."""
        if self.need_key(names):
            read_key(self.variable, self.key_check)

    def only(self, names: Collection[str]) -> Masks:
        """The masks that such a table's columns have."""
        return replace(
            self,
            columns={name: given for name, given in self.columns.items() if name in names},
            skip=tuple(name for name in self.skip if name in names),
        )

    def apply(self, frame: pl.DataFrame, missing_values: Sequence[str]) -> tuple[pl.DataFrame, dict[str, int]]:
        """Some rows of a table masked; columns whose mask is `drop` are gone.

        Args:
            frame: raw rows, any portion of them.
            missing_values: texts that stand for a missing value; they are not masked.

        Returns:
            The masked rows, and for each column that was masked how many of its values changed.

        Raises:
            DataError: a value cannot be masked, or a key is needed and not there; no message holds a value.
            MissingExtraError: the libraries that recognisers need are not installed.
        """
        gone = self.dropped
        changed: dict[str, int] = {}
        columns = []
        for values in frame.get_columns():
            name = values.name
            if name in gone:
                changed[name] = len(values) - nulled(values, missing_values).null_count()
                continue
            found = self.series(values, missing_values)
            if found is not values:
                before = nulled(values, missing_values)
                changed[name] = _num_changed(before, nulled(found, missing_values))
            columns.append(found)
        return pl.DataFrame(columns), changed

    def series(self, values: pl.Series, missing_values: Sequence[str]) -> pl.Series:
        """One column's raw values masked; the very same object where no mask is at work. Raises as `apply` does."""
        mask = self._of_columns.get(values.name)
        if mask is not None:
            return mask.values(nulled(values, missing_values), self._key([mask]))
        if not self._of_kinds or values.name in self.skip:
            return values
        if values.dtype.is_nested() and _holds_texts(values.dtype):
            return self._lists(values)
        if not _may_hold_texts(values):
            return values
        texts = read_categories(values) if values.dtype.is_numeric() else values.cast(pl.String)
        found = mask_spans(texts, self._of_kinds, self._key(self._of_kinds.values()))
        return values if found.equals(texts) else found

    def _lists(self, values: pl.Series) -> pl.Series:
        """Lists in which every text is masked, at any depth."""
        lists = values.to_list()
        texts = pl.Series(values.name, sorted({text for one in lists for text in _texts_in(one)}), dtype=pl.String)
        found = mask_spans(texts, self._of_kinds, self._key(self._of_kinds.values()))
        if found.equals(texts):
            return values
        table = dict(zip(texts.to_list(), found.to_list(), strict=True))
        return pl.Series(values.name, [_replaced(one, table) for one in lists], dtype=values.dtype)

    def _key(self, masks: Collection[Mask]) -> Key | None:
        return read_key(self.variable, self.key_check) if any(mask.is_keyed for mask in masks) else None

    def dump(self) -> dict[str, Any]:
        """A JSON-able description, without the key."""
        return {
            "columns": {name: dict(given) for name, given in self.columns.items()},
            "kinds": {name: dict(given) for name, given in self.kinds.items()},
            "skip": list(self.skip),
            "variable": self.variable,
            "key_check": self.key_check,
        }

    @classmethod
    def load(cls, given: Mapping[str, Any]) -> Masks:
        """The masks that `dump` gave. Raises DanluError for one that is not in the catalogue, ValueError for others."""
        masks = cls(
            dict(given["columns"]), dict(given["kinds"]), tuple(given["skip"]), given["variable"], given["key_check"]
        )
        masks._of_columns, masks._of_kinds  # noqa: B018  what cannot be built is told now
        return masks


def _may_hold_texts(values: pl.Series) -> bool:
    """Whether values are texts, or numbers of eleven digits and more, as phones and cards may come."""
    if values.dtype.is_numeric():
        return bool((values.abs() >= _LONG).any())
    return values.dtype == pl.String or isinstance(values.dtype, (pl.Categorical, pl.Enum))


def _holds_texts(dtype: Any) -> bool:
    """Whether a dtype of lists or structs has texts in it, at any depth."""
    if isinstance(dtype, pl.Struct):
        return any(_holds_texts(field.dtype) for field in dtype.fields)
    if isinstance(dtype, (pl.List, pl.Array)):
        return _holds_texts(dtype.inner)
    return bool(dtype == pl.String)


def _texts_in(value: Any) -> Iterator[str]:
    """The texts of a value of lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(one)


def _replaced(value: Any, table: Mapping[str, str]) -> Any:
    """The same with other texts."""
    if isinstance(value, str):
        return table[value]
    if isinstance(value, dict):
        return {name: _replaced(one, table) for name, one in value.items()}
    return [_replaced(one, table) for one in value] if isinstance(value, list) else value


def _built(given: Mapping[str, Any]) -> Mask:
    options = {name: value for name, value in given.items() if name != "name"}
    mask: Mask = build(catalog.find("masks", given["name"]), options)
    return mask


def _num_changed(before: pl.Series, after: pl.Series) -> int:
    """Values that are not what they were."""
    if before.dtype == after.dtype:
        if before.dtype.is_nested():
            return sum(one != other for one, other in zip(before.to_list(), after.to_list(), strict=True))
        return int(before.ne_missing(after).sum())
    if after.dtype.is_numeric() and before.dtype == pl.String:
        before = before.cast(pl.Float64, strict=False)
        return int(before.ne_missing(after).sum())
    return int(before.cast(pl.String).ne_missing(after.cast(pl.String)).sum())
