"""From the head's scores to the network's outputs, where they are not the same.

Shapes: B batch, K outputs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from danlu.base.errors import Fault, RecipeError
from danlu.tasks.task import Task


class LogLink(nn.Module):
    """Scores that are the logarithm of a rate; outputs are the rate on the target's own scale.

    A score is the head's output plus the logarithm of the scale's center where that is above 0 (with `scale: standard`
    the training rows' mean), so that training begins at the mean rate. A rate read from the outputs is off by no more
    than float32's rounding of that center.

    Args:
        task: a regression, whose scale must be a straight line.

    Raises:
        RecipeError: the target's scale bends, or is `min_max`.
    """

    start: Tensor
    center: Tensor
    spread: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        values = task.truth(np.arange(-1.0, 4.0))
        center, spread = float(values[1]), float(values[2] - values[1])
        # min_max bends past the numbers it was fitted on, where a rate may lie.
        if task.target.options["scale"] == "min_max" or not np.allclose(np.diff(values), spread, rtol=1e-6):
            name = task.target.name
            message = f"is poisson, which cannot be read from the scale {task.target.options['scale']} of {name}"
            raise RecipeError(
                [Fault(path="train.loss", message=message, hint=f"set data.columns.{name}.scale to standard")]
            )
        start = np.log(center) if center > 0 else 0.0
        for key, value in (("start", start), ("center", center), ("spread", spread)):
            self.register_buffer(key, torch.tensor(value, dtype=torch.float32), persistent=False)

    def forward(self, scores_BK: Tensor) -> Tensor:
        """(B, 1) logarithms of rates → (B, 1) rates as the target is encoded."""
        return (torch.exp(scores_BK) - self.center) / self.spread

    def counts(self, encoded_B: Tensor) -> Tensor:
        """(B,) the encoded target in its own unit, at least 0."""
        return (encoded_B * self.spread + self.center).clamp(min=0)


class UnitLink(nn.Module):
    """Scores that are vectors times a learned number; outputs are the vectors, of length 1.

    Args:
        task: of any kind.
    """

    start: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.register_buffer("start", torch.zeros(()), persistent=False)

    def forward(self, scores_B2D: Tensor) -> Tensor:
        """(B, 2, D) → (B, 2, D)."""
        length_B2 = scores_B2D.square().sum(-1, keepdim=True).clamp(min=1e-24).sqrt()
        found: Tensor = scores_B2D / length_B2
        return found

    def counts(self, encoded_B: Tensor) -> Tensor:
        """(B,) the target as it is."""
        return encoded_B


LINKS: dict[str, type[LogLink] | type[UnitLink]] = {"log": LogLink, "unit": UnitLink}
