"""Step 3: the one loop, its optimizers, schedules, checkpoints and observers.

Optimizers and schedules are read with every recipe, torch or not, so `train`, which needs it, is imported when asked
for. `step` is the way in, `plan` what the recipe left open, `loop` what trains; the rooms beside them hold its parts:
`rows` (what a step takes), `stepping` (its arithmetic), `weights`, `watching`, `keeping` (checkpoints), and `finding`
(what is tried before the first step).
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
