"""Classes of very different size; categories, labels and tokens that never train."""

from __future__ import annotations

import polars as pl

from danlu.columns.steps import flat
from danlu.prepare.audit.audited import Audited
from danlu.prepare.columnar import in_slices
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_IMBALANCE = 10.0
_MANY_UNSEEN = 0.05  # of the test rows
_MOST_UNSEEN = 0.5  # of the test rows' tokens
_FEW_TOKENS = 2.0  # of a row: there, blanks part no words


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
            message=f"the class {least[0]} has {least[1]:,} row{'s' * (least[1] != 1)} and {most[0]} has {most[1]:,}",
            columns=(data.target_name,),
            remedy="look at balanced_accuracy or pr_auc rather than accuracy, and try train.class_weights: balanced",
            evidence={"ratio": most[1] / least[1], "classes": dict(counts.head(50).iter_rows())},
        )
    ]


def find_unseen(data: Audited) -> list[Finding]:
    """Categories, and values of sets, of test rows that no training row has; those of a target that is a set too."""
    columns = dict(data.of_type("category", "set"))
    if data.type(data.target_name) == "set":
        columns[data.target_name] = data.target
    found = []
    train, test = data.codes == TRAIN, data.codes == TEST
    for name, values in columns.items():
        parts = [_single(some.filter(pl.Series(train[start : start + len(some)]))) for start, some in in_slices(values)]
        known = pl.concat([one["value"].unique() for one in parts]).unique().to_list()
        unseen = _single(values.filter(pl.Series(test))).filter(~pl.col("value").is_in(known))
        if not unseen.height:
            continue
        places, count = unseen["row"].unique().sort().to_numpy(), int(test.sum())
        # Where rare values are pooled, a new one is met as they were.
        pools = data.chosen[name].options.get("min_count", 1) > 1
        some = unseen["value"].unique().sort()
        has = "has" if len(places) == 1 else "have"
        what = "a value" if len(some) == 1 else f"{len(some):,} values"
        listed = ", ".join(some.head(5).to_list()) + (", …" if len(some) > 5 else "")
        found.append(
            Finding(
                key=f"unseen_values:{name}",
                severity="warning" if len(places) / count > _MANY_UNSEEN and not pools else "note",
                message=f"{name}: {len(places):,} of {count:,} test rows {has} {what} that no training row "
                f"has: {listed}",
                columns=(name,),
                rows=tuple(data.rows[test][places[:20]].tolist()),
                remedy="no answer names them, and no score counts them: split so that every value trains"
                if name == data.target_name
                else "nothing, if new values come in use too; else split so that every value trains",
                evidence={"rows": len(places), "values": some.head(50).to_list()},
            )
        )
    return found


def find_unseen_tokens(data: Audited) -> list[Finding]:
    """Columns of tokens of whose test rows' tokens most are in no training row: they all look the same to the network.

    Chinese without blanks is the usual reason: each row is one long token.
    """
    found = []
    train, test = data.codes == TRAIN, data.codes == TEST
    for name, values in data.of_type("tokens").items():
        parts = [_tokens(some.filter(pl.Series(train[start : start + len(some)]))) for start, some in in_slices(values)]
        tokens = _tokens(values.filter(pl.Series(test)))
        unseen = tokens.filter(~tokens.is_in(pl.concat([one.unique() for one in parts]).unique().to_list()))
        share = len(unseen) / max(1, len(tokens))
        if share <= _MOST_UNSEEN:
            continue
        row_tokens = len(tokens) / int(test.sum())
        remedy = f"set data.columns.{name}.type to text, which reads parts of words"
        if row_tokens <= _FEW_TOKENS:
            remedy += ": tokens are parted by blanks, of which there are few"
        found.append(
            Finding(
                key=f"unseen_tokens:{name}",
                severity="warning",
                message=f"{name}: {share:.0%} of the {len(tokens):,} tokens of test rows are in no training row",
                columns=(name,),
                remedy=remedy,
                evidence={"share": share, "row_tokens": row_tokens, "values": unseen.unique().sort().head(5).to_list()},
            )
        )
    return found


def _tokens(values: pl.Series) -> pl.Series:
    """(S,) the tokens of all rows."""
    return flat(values).drop_nulls()


def _single(values: pl.Series) -> pl.DataFrame:
    """`row` and `value`: each row's value, or those of its set; none where it is missing or empty."""
    rows = pl.DataFrame({"value": values}).with_row_index("row")
    if values.dtype.is_nested():
        rows = rows.explode("value", empty_as_null=True, keep_nulls=True)
    return rows.filter(pl.col("value").is_not_null())
