"""Findings on disk, and the ones that stop a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from danlu.base.errors import DataError
from danlu.base.files import write_json
from danlu.prepare.prepared import Finding


def to_json(findings: Iterable[Finding], accept: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Findings as JSON; `accepted` says whether the recipe accepts one."""
    return [{**asdict(one), "accepted": one.key in accept} for one in findings]


def from_json(values: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """The findings that `to_json` gave."""
    return tuple(
        Finding(**{**value, "columns": tuple(value["columns"]), "rows": tuple(value["rows"])})
        for value in ({name: item for name, item in one.items() if name != "accepted"} for one in values)
    )


def write_findings(path: Path, findings: Sequence[Finding], accept: Sequence[str]) -> None:
    """Write `findings.json`, unless it says the same already. Raises StorageError."""
    value = to_json(findings, accept)
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(value))
    except (OSError, ValueError):
        same = False
    if not same:
        write_json(path, value)


def refuse(findings: Sequence[Finding], accept: Sequence[str]) -> None:
    """Raise DataError with every error among the findings that the recipe does not accept, or that no recipe can."""
    errors = [one for one in findings if one.severity == "error" and (one.key not in accept or _is_final(one))]
    if not errors:
        return
    lines = [f"{one.key}: {one.message} · {one.remedy}" for one in errors]
    what = "a finding stops" if len(errors) == 1 else f"{len(errors)} findings stop"
    keys = ", ".join(one.key for one in errors if not _is_final(one))
    looked = f", or once you have looked: prepare.accept: [{keys}]" if keys else ""
    raise DataError(f"{what} the run:\n  " + "\n  ".join(lines), where="findings.json", hint=f"mend the data{looked}")


def _is_final(finding: Finding) -> bool:
    """Whether accepting it would not help: values that no column type can read."""
    return finding.key.startswith("mixed_values:")


def needless(findings: Sequence[Finding], accept: Sequence[str]) -> tuple[Finding, ...]:
    """A note for each key of `prepare.accept` that nothing was found for."""
    keys = {one.key for one in findings}
    return tuple(
        Finding(
            key=f"not_found:{key}",
            severity="note",
            message=f"prepare.accept names {key}, which was not found",
            remedy=f"take {key} out of prepare.accept",
        )
        for key in accept
        if key not in keys
    )
