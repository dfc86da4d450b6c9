"""What is wrong or odd with the data, seen before anything learns from it: one file for each kind of fault."""

from __future__ import annotations

from collections.abc import Callable

from danlu.prepare.audit.audited import Audited
from danlu.prepare.audit.broken import find_html, find_mojibake
from danlu.prepare.audit.columns import find_collinear, find_constant
from danlu.prepare.audit.conflicts import find_conflicts
from danlu.prepare.audit.drift import find_drift
from danlu.prepare.audit.duplicates import find_duplicates
from danlu.prepare.audit.groups import find_shared_ids
from danlu.prepare.audit.impossible import find_odd_dates, find_sentinels, find_zeros
from danlu.prepare.audit.leaks import find_leaks
from danlu.prepare.audit.missing import find_missing
from danlu.prepare.audit.near import find_near_duplicates
from danlu.prepare.audit.noise import find_label_noise
from danlu.prepare.audit.order import find_split_words, find_time_order
from danlu.prepare.audit.personal import find_personal_data
from danlu.prepare.audit.pictures import find_alike_pictures
from danlu.prepare.audit.texts import find_alike_texts
from danlu.prepare.audit.trees import find_not_tested
from danlu.prepare.audit.values import find_imbalance, find_unseen, find_unseen_tokens
from danlu.prepare.prepared import Finding

__all__ = ["CHECKS", "Audited", "audit", "find_time_order"]

CHECKS = (
    find_duplicates,
    find_near_duplicates,
    find_alike_texts,
    find_alike_pictures,
    find_conflicts,
    find_leaks,
    find_missing,
    find_zeros,
    find_sentinels,
    find_odd_dates,
    find_imbalance,
    find_unseen,
    find_unseen_tokens,
    find_constant,
    find_collinear,
    find_split_words,
    find_shared_ids,
    find_html,
    find_mojibake,
    find_personal_data,
    find_drift,
    find_label_noise,
    find_not_tested,
)


def audit(data: Audited, tell: Callable[[str], object] = str) -> tuple[Finding, ...]:
    """Everything noticed, the worst first.

    Args:
        data: the rows.
        tell: told of each check before it begins.
    """
    found: list[Finding] = []
    for check in CHECKS:
        tell(check.__name__.removeprefix("find_").replace("_", " "))
        found += check(data)
    return tuple(sorted(found, key=lambda one: ("error", "warning", "note").index(one.severity)))
