"""Classes of very different size, and categories that never train."""

from __future__ import annotations

import polars as pl

from danlu.prepare.audit.audited import Audited
from danlu.prepare.columnar import in_slices
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_IMBALANCE = 10.0


def find_imbalance(data: Audited) -> list[Finding]:
    """Classes of very different size."""
    if data.type(data.target_name) not in ("category", "boolean"):
        return []
    counts = data.held_target.cast(pl.String).value_counts(sort=True)
    most, least = counts.row(0), counts.row(-1)
    if most[1] / least[1] < _IMBALANCE:
        return []
    return [
        Finding(
            key="imbalance",
            severity="warning",
            message=f"the class {least[0]} has {least[1]:,} rows and {most[0]} has {most[1]:,}",
            columns=(data.target_name,),
            remedy="look at balanced_accuracy or pr_auc rather than accuracy, and try train.class_weights: balanced",
            evidence={"ratio": most[1] / least[1], "classes": dict(counts.head(50).iter_rows())},
        )
    ]


def find_unseen(data: Audited) -> list[Finding]:
    """Categories of test rows that no training row has."""
    found = []
    train, test = data.codes == TRAIN, data.codes == TEST
    for name, values in data.of_type("category").items():
        tested = values.filter(pl.Series(test))
        parts = [some.filter(pl.Series(train[start : start + len(some)])).unique() for start, some in in_slices(values)]
        unseen = tested.is_not_null() & ~tested.is_in(pl.concat(parts).unique().to_list())
        if unseen.any():
            # Where rare values are pooled, a new one is met as they were.
            pools = data.chosen[name].options.get("min_count", 1) > 1
            some = tested.filter(unseen).unique().sort()
            found.append(
                Finding(
                    key=f"unseen_values:{name}",
                    severity="warning" if unseen.mean() > 0.05 and not pools else "note",  # type: ignore[operator]
                    message=f"{name}: {unseen.sum():,} of {len(tested):,} test rows have {len(some):,} values that no "
                    f"training row has: {', '.join(some.head(5).to_list())}",
                    columns=(name,),
                    rows=tuple(data.rows[test][unseen.to_numpy()][:20].tolist()),
                    remedy="nothing, if new values come in use too; else split so that every value trains",
                    evidence={"rows": int(unseen.sum()), "values": some.head(50).to_list()},
                )
            )
    return found
