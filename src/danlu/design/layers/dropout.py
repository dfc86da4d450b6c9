"""Dropout whose masks do not depend on how a step's rows are cut into batches, nor on who has which of them.

Shapes: S rows of an optimizer step, B rows of one pass through the network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Noise:
    """The masks of one optimizer step: each is drawn for all the step's rows at once, a pass takes its rows of it.

    So a step draws the same random numbers in the same order whether its rows pass through the network together, one
    batch after the other, or each at one of several workers. What it costs: every worker draws for all rows, and a
    byte for each value that its own rows silence is held until the step's end.
    """

    def __init__(self) -> None:
        self.masks: list[Tensor] = []

    def begin(self, count: int, own: Tensor | None) -> None:
        """A step begins.

        Args:
            count: S, rows of the step, of all workers together.
            own: (R,) int64, places in the step of the rows that pass through this network; None where all do.
        """
        self.masks, self.count, self.own = [], count, own

    def begin_pass(self, start: int, stop: int) -> None:
        """A pass begins, of the own rows from `start` to `stop`."""
        self.span, self.calls = slice(start, stop), 0

    def mask(self, values: Tensor, keep: float) -> Tensor:
        """(B, …) bool, True where a value is kept, which it is with probability `keep`; lies as `values` (B, …) do.

        The layers must ask in the same order in every pass of a step.
        """
        if self.calls == len(self.masks):
            # Drawn in the order of memory, as torch's own dropout draws.
            strides = values.stride()
            layout = sorted(range(values.dim()), key=lambda dim: -strides[dim])
            size = (self.count, *values.shape[1:])
            whole = torch.empty_permuted(size, layout, dtype=torch.bool, device=values.device).bernoulli_(keep)
            self.masks.append(whole if self.own is None else whole[self.own])
        self.calls += 1
        return self.masks[self.calls - 1][self.span]


class Dropout(nn.Dropout):
    """y = x · mask / (1 − p) in training, the mask being 1 with probability 1 − p; y = x otherwise.

    Attributes:
        noise: where masks come from; None lets torch draw them, which gives the same ones where all rows of a step pass
            through the network at once (on a CPU; a GPU's own kernel draws others).
    """

    noise: Noise | None = None

    def forward(self, values: Tensor) -> Tensor:
        """(B, …) → (B, …)."""
        if self.noise is None or not self.training or not self.p:
            return super().forward(values)
        return values * dropped(self.noise, values, 1 - self.p)


def dropped(noise: Noise, values: Tensor, keep: float) -> Tensor:
    """(B, …) what dropout multiplies `values` with: 0 or 1 / keep."""
    return noise.mask(values, keep).to(values.dtype).div_(keep)
