"""Personal data masked right after the rows were read, before anything looks at them or keeps them."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl

from danlu.base.errors import DataError, nearest
from danlu.columns.masking import Masks
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.table import Table
from danlu.recipe.schema import Recipe


def masks_of(recipe: Recipe) -> Masks:
    """The masks that a recipe asks for, with the check of the key that the environment holds.

    Raises:
        DataError: one of them needs a key and there is none, or it is too short.
    """
    mask = recipe.prepare.mask
    if mask is None:
        return Masks()
    columns = {name: {"name": one.name, **one.options} for name, one in mask.columns.items()}
    kinds = {kind: {"name": one.name, **one.options} for kind, one in mask.kinds.items()}
    return Masks(columns, kinds, tuple(mask.skip), mask.key.removeprefix("env:")).with_check()


def mask_key(recipe: Recipe) -> str:
    """Tells the keys apart that a recipe is run with, and nothing of them; "" where it needs none. Raises DataError."""
    return masks_of(recipe).key_check


class Masking:
    """The masking of one table, whose rows may come in any portions, in their order.

    Args:
        recipe: its sections `prepare.mask` and `data.missing_values` are used.

    Raises:
        DataError: a mask needs a key and there is none, or it is too short.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.masks, self.missing_values = masks_of(recipe), recipe.data.missing_values
        self._num_rows = 0
        self._changed: dict[str, int] = {}

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Some rows masked. Raises DataError where a masked column is not there, or a value cannot be masked."""
        if not self.masks:
            return frame
        if not self._num_rows:
            self._check_names(frame.columns)
        try:
            masked, changed = self.masks.apply(frame, self.missing_values)
        except DataError as error:
            error.where = re.sub(r"\brow (\d+)$", lambda row: f"row {int(row[1]) + self._num_rows}", error.where)
            raise
        self._num_rows += frame.height
        for name, count in changed.items():
            self._changed[name] = self._changed.get(name, 0) + count
        return masked

    def _check_names(self, names: list[str]) -> None:
        for name in (*self.masks.columns, *self.masks.skip):
            if name not in names:
                near = nearest(name, names)
                raise DataError(
                    f"prepare.mask names {name}, which is not a column of the data; there are {', '.join(names[:20])}",
                    where=f"column {name}",
                    hint=f"did you mean {near}?" if near else "name a column of the data",
                )

    def told(self, table: Table) -> Table:
        """A table whose rows were masked, with findings that say so."""
        found = [self._finding(name, count) for name, count in self._changed.items()]
        return replace(table, findings=(*table.findings, *found)) if found else table

    def _finding(self, name: str, count: int) -> Finding:
        given = self.masks.columns.get(name)
        if name in self.masks.dropped:
            message = f"{name} was dropped right after reading; it had {count:,} values in {self._num_rows:,} rows"
        elif given is None:
            message = f"{name}: {count:,} of {self._num_rows:,} rows held personal data, which was masked"
        else:
            message = f"{name}: {count:,} of {self._num_rows:,} rows were changed by {given['name']}"
        return Finding(
            key=f"masked:{name}",
            severity="note",
            message=message,
            columns=(name,),
            remedy="nothing: prepare.mask asks for it",
            evidence={"mask": given["name"] if given else "kinds", "changed": count, "rows": self._num_rows},
        )
