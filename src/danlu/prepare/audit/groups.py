"""The same person, device or case in training and in test rows, by a column of ids."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.columns.names import is_key
from danlu.prepare.audit.audited import Audited, Chained
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_MIN_GROUPS = 20
_MIN_ROWS_EACH = 1.5
_MIN_SHARE = 0.05


def find_shared_ids(data: Audited) -> list[Finding]:
    """Columns named as ids whose values come several times, in training and in test rows.

    A table of N rows has at least the root of N of them: fewer are a category, as shops or classes are.
    """
    found = []
    train, test = (pl.Series(np.flatnonzero(data.codes == code)) for code in (TRAIN, TEST))
    columns = Chained(data.unused, data.parsed)
    for name in filter(is_key, columns):
        values = columns[name]
        if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
            continue
        num_groups = values.drop_nulls().n_unique()
        known = len(values) - values.null_count()
        if num_groups < max(_MIN_GROUPS, len(values) ** 0.5) or known < _MIN_ROWS_EACH * num_groups:
            continue
        shared = values.gather(test).is_in(values.gather(train).drop_nulls().unique().to_list()).fill_null(False)
        share = shared.sum() / max(1, len(shared))
        if share < _MIN_SHARE:
            continue
        found.append(
            Finding(
                key=f"shared_ids:{name}",
                severity="warning",
                message=f"{name} has {num_groups:,} values in {known:,} rows; {shared.sum():,} of {len(shared):,} test "
                f"rows ({share:.1%}) share theirs with training rows",
                columns=(name,),
                rows=tuple(data.rows[test.to_numpy()][shared.to_numpy()][:20].tolist()),
                remedy=f"if the model is for new ones, split by them (prepare.split.by: {{group: {name}}})",
                evidence={"groups": num_groups, "shared": int(shared.sum()), "share": share},
            )
        )
    return found
