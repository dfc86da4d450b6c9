"""Batch normalisation over a batch whose rows several workers share.

Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Add = Callable[[Tensor], None]


class BatchNorm2d(nn.BatchNorm2d):
    """y = (x − mean) / √(variance + eps) · weight + bias; in training over the rows of all workers.

    Mean and variance are those of the whole batch, summed over the workers, and so are the gradients that flow through
    them: torch's `SyncBatchNorm`, which has no CPU kernels, does the same. A batch with one value for each channel (one
    row of one pixel, say the last of an epoch) has no variance: it is normalised by the running figures, which stay
    as they are.
    Source: Ioffe and Szegedy, "Batch Normalization", 2015.

    Attributes:
        add: adds a tensor up over the workers, in place; None where all rows are here.
    """

    add: Add | None = None

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        if self.training and self.add is None and values_BCHW.numel() == values_BCHW.shape[1]:
            kept = (self.running_mean, self.running_var, self.weight, self.bias)
            return functional.batch_norm(values_BCHW, *kept, training=False, eps=self.eps)
        if self.add is None or not self.training:
            return super().forward(values_BCHW)
        wide = values_BCHW.to(torch.float32)
        here = torch.full((1,), wide.numel() / wide.shape[1], dtype=torch.float32, device=wide.device)
        totals = _summed(torch.cat([wide.sum((0, 2, 3)), here]), self.add)
        count = totals[-1]
        mean_C = totals[:-1] / count
        centred = wide - mean_C[:, None, None]
        variance_C = _summed(centred.square().sum((0, 2, 3)), self.add) / count
        self._remember(mean_C.detach(), variance_C.detach() * (count / (count - 1).clamp(min=1)).detach())
        scale_C = (variance_C + self.eps).rsqrt() * self.weight
        found = centred * scale_C[:, None, None] + self.bias[:, None, None]
        return found.to(values_BCHW.dtype)

    def _remember(self, mean_C: Tensor, variance_C: Tensor) -> None:
        """Take a batch's statistics into the running ones."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean_C.to(self.running_mean.dtype), share)
            self.running_var.lerp_(variance_C.to(self.running_var.dtype), share)


class MaskedBatchNorm(BatchNorm2d):
    """Batch normalisation whose mean and variance are those of the steps that are there; padding counts for nothing.

    What comes out at padding has no meaning: who goes on multiplies it with the mask.
    """

    def forward(self, values_BCHW: Tensor, present_B1H1: Tensor | None = None) -> Tensor:
        """(B, C, H, W) → (B, C, H, W).

        Args:
            values_BCHW: H are steps; W is 1 for plain series.
            present_B1H1: 1 for steps that are there, 0 for padding; None where all are.
        """
        if present_B1H1 is None or not self.training:
            return super().forward(values_BCHW)
        wide, present = values_BCHW.to(torch.float32), present_B1H1.to(torch.float32)
        here = present.sum().view(1) * values_BCHW.shape[3]
        totals = self._total(torch.cat([(wide * present).sum((0, 2, 3)), here]))
        count = totals[-1]
        if count.item() < 2:  # one value has no variance
            kept = (self.running_mean, self.running_var, self.weight, self.bias)
            return functional.batch_norm(values_BCHW, *kept, training=False, eps=self.eps)
        mean_C = totals[:-1] / count
        centred = (wide - mean_C[:, None, None]) * present
        variance_C = self._total(centred.square().sum((0, 2, 3))) / count
        self._remember(mean_C.detach(), variance_C.detach() * (count / (count - 1)).detach())
        scale_C = (variance_C + self.eps).rsqrt() * self.weight
        found = centred * scale_C[:, None, None] + self.bias[:, None, None]
        return found.to(values_BCHW.dtype)

    def _total(self, values: Tensor) -> Tensor:
        """The sum over all workers."""
        return values if self.add is None else _summed(values, self.add)


class _Summed(torch.autograd.Function):
    """The sum over all workers. Each of them uses it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, add: Add) -> Tensor:
        ctx.add = add
        found = values.clone()
        add(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        found = gradient.clone()
        ctx.add(found)
        return found, None


def _summed(values: Tensor, add: Add) -> Tensor:
    found: Tensor = _Summed.apply(values, add)  # type: ignore[no-untyped-call]
    return found
