"""Step 4: scores with intervals, baselines, calibration, mistakes and the report.

`metrics` and `score` serve processes without torch too, so `evaluate`, which needs it, is imported when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from danlu.evaluate.step import evaluate

__all__ = ["evaluate"]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        from danlu.evaluate.step import evaluate

        return evaluate
    raise AttributeError(f"module {__name__} has no attribute {name}")
