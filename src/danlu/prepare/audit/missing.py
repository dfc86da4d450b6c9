"""How much is missing."""

from __future__ import annotations

from danlu.prepare.audit.audited import Audited
from danlu.prepare.prepared import Finding

_MOSTLY_MISSING = 0.5


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
            message=f"{len(some)} of {len(shares)} input columns {'has' if len(some) == 1 else 'have'} missing values: "
            f"{listed}",
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
