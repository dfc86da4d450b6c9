"""Step 3: the one loop, its optimizers, schedules, checkpoints and observers.

Optimizers and schedules are read with every recipe, torch or not, so `train`, which needs it, is imported when asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from danlu.train.step import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from danlu.train.step import train

        return train
    raise AttributeError(f"module {__name__} has no attribute {name}")
