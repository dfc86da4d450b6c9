"""What is wrong or odd with the data, seen before anything learns from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from danlu.prepare.choose import Chosen
from danlu.prepare.leaks import find_leaks
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import SPLIT_WORDS, TEST, TRAIN

# Test rows that also train: past this share scores say little of new rows. Below it they are told of.
_MAX_SHARED = 0.20
# Copies that this share of test rows would have by chance are no sign of a fault: such tables have few different rows.
_MAX_SHARED_BY_CHANCE = 0.01
_IMBALANCE = 10.0
_MOSTLY_MISSING = 0.5


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
    """

    parsed: Mapping[str, pl.Series]
    chosen: Mapping[str, Chosen]
    target: pl.Series
    codes: np.ndarray
    rows: np.ndarray
    picture_hashes: Mapping[str, str]
    others: Mapping[str, pl.Series] = field(default_factory=dict)

    def type(self, name: str) -> str:
        """A column's type."""
        return self.chosen[name].type


def audit(data: Audited) -> tuple[Finding, ...]:
    """Everything noticed, the worst first."""
    found = [
        *find_duplicates(data),
        *find_leaks({name: values for name, values in data.parsed.items() if data.type(name) != "image"}, data.target),
        *find_missing(data),
        *find_imbalance(data),
        *find_unseen(data),
        *find_split_words(data),
    ]
    return tuple(sorted(found, key=lambda one: ("error", "warning", "note").index(one.severity)))


def find_duplicates(data: Audited) -> list[Finding]:
    """Rows of the test split that also train, and rows that are there more than once.

    Copies are told by the columns that are used. They stop the run only where they are many, are more than chance makes
    in a table of few different rows, and agree in the texts that are not used too: else they may be separate cases.
    """
    keys = _row_keys(data, data.parsed)
    train, test = keys[data.codes == TRAIN], keys[data.codes == TEST]
    shared = np.isin(test, train)
    found = []
    if shared.any():
        share = float(shared.mean())
        chance = _chance(data)
        whole = _row_keys(data, {**data.parsed, **data.others}) if data.others else keys
        certain = float(np.isin(whole[data.codes == TEST], whole[data.codes == TRAIN]).mean())
        is_error = certain >= _MAX_SHARED and chance < _MAX_SHARED_BY_CHANCE
        rows = data.rows[data.codes == TEST][shared]
        found.append(
            Finding(
                key="duplicate_rows",
                severity="error" if is_error else "warning",
                message=f"{shared.sum():,} of {len(test):,} test rows ({share:.1%}) are copies of training rows: "
                "they agree in every column that is used",
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
    repeated = len(train) - len(np.unique(train))
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


def _row_keys(data: Audited, columns: Mapping[str, pl.Series]) -> np.ndarray:
    """(N,) uint64, equal where these columns and the target are."""
    hashable = [_hashable(values, data).alias(str(place)) for place, values in enumerate(columns.values())]
    return pl.DataFrame([*hashable, data.target.alias("target")]).hash_rows(seed=0).to_numpy()


def _hashable(values: pl.Series, data: Audited) -> pl.Series:
    """Pictures as hashes of their bytes; all else as it is."""
    if data.type(values.name) != "image":
        return values
    if values.dtype == pl.String:
        hashes = data.picture_hashes
        return pl.Series(
            [hashes.get(one, one) if one is not None else None for one in values.to_list()], dtype=pl.String
        )
    if isinstance(values.dtype, pl.Array) and not values.null_count():
        array = np.ascontiguousarray(values.to_numpy())
        return pl.Series([array[row].tobytes() for row in range(len(array))], dtype=pl.Binary).hash(seed=0)
    if values.dtype == pl.Binary:
        return values.hash(seed=0)
    return pl.Series([hash(str(one)) for one in values.to_list()], dtype=pl.Int64)


def _chance(data: Audited) -> float:
    """The share of test rows that would have a copy in training if columns were independent, at most 1.

    A pair of rows agrees in a column with the probability of the sum of its values' squared shares.
    """
    logarithm = np.log(max(1, int((data.codes == TRAIN).sum())))
    for values in (*data.parsed.values(), data.target):
        if values.name in data.chosen and data.type(values.name) == "image":
            return 0.0
        counts = values.value_counts()["count"].to_numpy().astype(np.float64)
        logarithm += np.log(((counts / counts.sum()) ** 2).sum())
    return float(np.exp(min(0.0, logarithm)))


def find_missing(data: Audited) -> list[Finding]:
    """Columns with missing values, as one note, and each mostly missing one as a warning."""
    shares = {name: values.null_count() / max(1, len(values)) for name, values in data.parsed.items()}
    some = {name: share for name, share in sorted(shares.items(), key=lambda one: -one[1]) if share > 0}
    if not some:
        return []
    listed = ", ".join(f"{name} {share:.1%}" for name, share in list(some.items())[:8])
    found = [
        Finding(
            key="missing_values",
            severity="note",
            message=f"{len(some)} of {len(shares)} input columns have missing values: {listed}",
            columns=tuple(some),
            remedy="set `missing` of a column in data.columns to say what stands for them",
            evidence={"shares": some},
        )
    ]
    return found + [
        Finding(
            key=f"mostly_missing:{name}",
            severity="warning",
            message=f"{name} is missing in {share:.1%} of the rows",
            columns=(name,),
            remedy=f"find out why, or set data.columns.{name} to ignore",
            evidence={"share": share},
        )
        for name, share in some.items()
        if share >= _MOSTLY_MISSING
    ]


def find_imbalance(data: Audited) -> list[Finding]:
    """Classes of very different size."""
    if data.type(data.target.name) not in ("category", "boolean"):
        return []
    counts = data.target.cast(pl.String).value_counts(sort=True)
    most, least = counts.row(0), counts.row(-1)
    if most[1] / least[1] < _IMBALANCE:
        return []
    return [
        Finding(
            key="imbalance",
            severity="warning",
            message=f"the class {least[0]} has {least[1]:,} rows and {most[0]} has {most[1]:,}",
            columns=(data.target.name,),
            remedy="look at balanced_accuracy or pr_auc rather than accuracy, and try train.class_weights: balanced",
            evidence={"ratio": most[1] / least[1], "classes": dict(counts.head(50).iter_rows())},
        )
    ]


def find_unseen(data: Audited) -> list[Finding]:
    """Categories of test rows that no training row has."""
    found = []
    train, test = data.codes == TRAIN, data.codes == TEST
    for name, values in data.parsed.items():
        if data.type(name) != "category":
            continue
        tested = values.filter(pl.Series(test))
        unseen = tested.is_not_null() & ~tested.is_in(values.filter(pl.Series(train)).unique().to_list())
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


def find_split_words(data: Audited) -> list[Finding]:
    """Inputs that say which split a row was meant for: to learn from, they are worthless at best."""
    found = []
    for name, values in data.parsed.items():
        if data.type(name) != "category":
            continue
        words = set(values.drop_nulls().unique().str.to_lowercase().to_list())
        if len(words) > 1 and words <= set(SPLIT_WORDS):
            found.append(
                Finding(
                    key=f"split_column:{name}",
                    severity="warning",
                    message=f"{name} holds {', '.join(sorted(words))}: it seems to say which rows train and which "
                    "test, and is used as an input",
                    columns=(name,),
                    remedy=f"split by it (prepare.split.by: {{column: {name}}}), or set data.columns.{name} to ignore",
                    evidence={"words": sorted(words)},
                )
            )
    return found


def find_time_order(parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen]) -> list[Finding]:
    """Times that the rows follow, where rows are split by chance: what comes later teaches what is tested earlier."""
    found = []
    for name, values in parsed.items():
        if chosen[name].type != "datetime" or values.null_count() or values.n_unique() <= len(values) / 2:
            continue
        if values.is_sorted() or values.is_sorted(descending=True):
            found.append(
                Finding(
                    key=f"time_order:{name}",
                    severity="note",
                    message=f"the rows are in the order of {name} and are split by chance: later rows teach what "
                    "earlier ones are tested on",
                    columns=(name,),
                    remedy=f"if what is to be predicted lies in the future, set prepare.split.by: {{time: {name}}}",
                )
            )
    return found
