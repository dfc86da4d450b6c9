"""Numbers that rise.

Shapes: B batch, Q numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Rising(nn.Module):
    """Any Q numbers → Q numbers that rise; (…, Q) → (…, Q).

        y_m = x_m
        y_j = x_m + Σ softplus(x_i) over m < i ≤ j      for j > m
        y_j = x_m − Σ softplus(x_i) over j ≤ i < m      for j < m

    m is the middle place. So quantiles cannot cross, whatever the weights are.

    Args:
        num_outputs: Q.
    """

    steps: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        middle, places = (num_outputs - 1) // 2, torch.arange(num_outputs)
        above = (places[:, None] > middle) & (places[:, None] <= places[None, :])
        below = (places[:, None] < middle) & (places[:, None] >= places[None, :])
        self.middle = middle
        self.register_buffer("steps", above.float() - below.float(), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(…, Q) → (…, Q)."""
        middle = values[..., self.middle : self.middle + 1]
        return middle + nn.functional.softplus(values) @ self.steps.to(values.dtype)
