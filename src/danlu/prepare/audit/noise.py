"""Training rows whose label contradicts all that similar rows say."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.prepare.audit.audited import Audited, drawn
from danlu.prepare.audit.trees import features, out_of_fold, there_are_trees
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TRAIN

_MAX_ROWS = 4_000
_MIN_ROWS = 150
_MAX_CLASSES = 10
_MIN_CLASS_ROWS = 15
_SURE = 0.85
_MAX_OF_SHARE = 0.3  # the given label's probability, as part of its share of rows: rare classes are never likely
_MIN_SHARE = 0.02
_MIN_FOUND = 5
_MIN_OF_ERRORS = 0.4  # honest tables come to 0.03 to 0.24


def find_label_noise(data: Audited) -> list[Finding]:
    """Rows for which boosted trees, fitted on other rows, are sure of another class than the one given.

    Where classes overlap, most wrong answers are unsure ones, and nothing is told: only where most of what the trees
    get wrong they are sure of, the labels may be what is wrong. 4,000 training rows are looked at.
    """
    columns = data.of_type("number", "category", "boolean", "datetime")
    if not data.has_classes or not columns or not there_are_trees():
        return []
    train = np.flatnonzero(data.codes == TRAIN)
    rows = np.sort(train[drawn("label noise", len(train), _MAX_ROWS)])
    labels, classes = np.unique(data.held_target.gather(rows).cast(pl.String).to_numpy(), return_inverse=True)
    counts = np.bincount(classes)
    if len(rows) < _MIN_ROWS or not 2 <= len(counts) <= _MAX_CLASSES or counts.min() < _MIN_CLASS_ROWS:
        return []
    some = {name: values.gather(rows) for name, values in columns.items()}
    probabilities = out_of_fold(features(some), classes)
    given = probabilities[np.arange(len(rows)), classes]
    sure = (probabilities.max(axis=1) >= _SURE) & (given <= _MAX_OF_SHARE * (counts / len(rows))[classes])
    wrong = int((probabilities.argmax(axis=1) != classes).sum())
    count = int(sure.sum())
    if count < max(_MIN_FOUND, _MIN_SHARE * len(rows)) or count < _MIN_OF_ERRORS * wrong:
        return []
    worst = np.flatnonzero(sure)[np.argsort(given[sure], kind="stable")][:20]
    first = worst[0]
    return [
        Finding(
            key="label_noise",
            severity="note",
            message=f"{count:,} of {len(rows):,} training rows that were looked at ({count / len(rows):.1%}) have a "
            f"{data.target_name} that rows like them contradict: row {data.rows[rows[first]]} says "
            f"{labels[classes[first]]}, the others {labels[probabilities[first].argmax()]}",
            columns=(data.target_name,),
            rows=tuple(data.rows[rows[worst]].tolist()),
            remedy="look at these rows and mend the labels that are wrong",
            evidence={"rows": len(rows), "contradicted": count, "wrong": wrong},
        )
    ]
