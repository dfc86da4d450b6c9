"""Rows that are there more than once, within and across splits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
import polars as pl

from danlu.prepare.audit.audited import Audited, found_in
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

# Test rows that also train: past this share scores say little of new rows. Below it they are told of.
MAX_SHARED = 0.20
# Copies that this share of test rows would have by chance are no sign of a fault: such tables have few different rows.
MAX_BY_CHANCE = 0.01
SOME_ROWS = 100_000


def find_duplicates(data: Audited) -> list[Finding]:
    """Rows of the test split that also train, and rows that are there more than once.

    Copies are told by the columns that are used. They stop the run only where they are many, are more than chance makes
    in a table of few different rows, and agree in the texts that are not used too: else they may be separate cases.
    """
    if not data.compared:
        return []
    keys = data.row_keys
    train, test = keys[data.codes == TRAIN], keys[data.codes == TEST]
    train.sort()
    shared = found_in(test, train)
    found = []
    if shared.any():
        share = float(shared.mean())
        chance = shared_by_chance(data, data.compared.values())
        whole = data.with_target(data.keys(data.all)) if data.others else keys
        certain = float(found_in(whole[data.codes == TEST], np.sort(whole[data.codes == TRAIN])).mean())
        is_error = certain >= MAX_SHARED and chance < MAX_BY_CHANCE
        rows = data.rows[data.codes == TEST][shared]
        found.append(
            Finding(
                key="duplicate_rows",
                severity="error" if is_error else "warning",
                message=f"{shared.sum():,} of {len(test):,} test rows ({share:.1%}) are copies of training rows: "
                f"they agree in every column that is {'used' if data.parsed else 'there'}",
                rows=tuple(rows[:20].tolist()),
                remedy="remove the copies, or split by a group that keeps them together (prepare.split.by.group)",
                evidence={
                    "test_rows": len(test),
                    "shared": int(shared.sum()),
                    "share": share,
                    "certain": certain,
                    "by_chance": chance,
                },
            )
        )
    repeated = int((train[1:] == train[:-1]).sum())
    if repeated:
        found.append(
            Finding(
                key="repeated_rows",
                severity="note",
                message=f"{repeated:,} of {len(train):,} training rows ({repeated / len(train):.1%}) repeat another",
                remedy="if they are not separate cases, remove them: they count twice",
                evidence={"train_rows": len(train), "repeated": repeated},
            )
        )
    return found


def shared_by_chance(data: Audited, columns: Iterable[pl.Series]) -> float:
    """The share of test rows that would have a copy in training if columns were independent, at most 1.

    A pair of rows agrees in a column with the probability of the sum of its values' squared shares, as some rows show.
    """
    logarithm = np.log(max(1, int((data.codes == TRAIN).sum())))
    told = [] if data.type(data.target_name) == "pair" else [data.held_target]
    for values in chain(columns, told):
        every = max(1, len(values) // SOME_ROWS)
        if values.name in data.chosen and data.type(values.name) in ("image", "audio", "series"):
            return 0.0
        # In order: the sum is then the same to the last bit in every run.
        counts = values.gather_every(every).value_counts()["count"].sort().to_numpy().astype(np.float64)
        logarithm += np.log(((counts / counts.sum()) ** 2).sum())
    return float(np.exp(min(0.0, logarithm)))
