"""Step 3: the one loop, its optimizers, schedules, checkpoints and observers."""

from danlu.train.step import train

__all__ = ["train"]
