"""Muon: hidden matrices move by orthogonal steps; all other weights by AdamW."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Strict

from danlu.train.weights.optimizers import Beta, Segment, adam_step

if TYPE_CHECKING:
    from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the authors': steepest at zero, so that five rounds do
_EPS = 1e-7


@dataclass(frozen=True, kw_only=True)
class Muon:
    """Momentum made orthogonal for the matrices of hidden layers; AdamW for vectors, embeddings and the output layer.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; `torch.optim.Muon` of
    torch 2.13. The step's scale: Liu et al., "Muon is Scalable for LLM Training", 2025.

    Attributes:
        lr: step size; with `scale: adamw` one that suits AdamW.
        momentum: share of the old running mean of the gradient kept at each step.
        nesterov: look ahead by the momentum.
        num_iterations: rounds of Newton and Schulz that make a step orthogonal.
        scale: `adamw` makes a step as large as AdamW's, times 0.2 √(larger side); `original` is the first authors',
            times √(rows / columns) where that is above 1, and wants an `lr` near 0.02.
        weight_decay: share of the weight taken away at each step, times the step size; see `train.decay`.
        adamw_lr: step size of what AdamW steps; by default `lr`.
        betas: AdamW's shares of the old running means kept at each step.
        eps: added to AdamW's denominator.
    """

    by_matrix: ClassVar[bool] = True

    lr: Annotated[float, Gt(0)] = 1e-3
    momentum: Beta = 0.95
    nesterov: bool = True
    num_iterations: Annotated[int, Ge(1), Le(20)] = 5
    scale: Literal["adamw", "original"] = "adamw"
    weight_decay: Annotated[float, Ge(0)] = 0.01
    adamw_lr: Annotated[float, Gt(0)] | None = None
    betas: Annotated[tuple[Beta, Beta], Strict(False)] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8

    @property
    def slots(self) -> tuple[str, ...]:
        """The running mean of the gradient, and for AdamW that of its square."""
        return ("mean", "square")

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """M ← βm + (1−β)g; u = orthogonal(βm + (1−β)g, or m); w ← w − lr · weight_decay · w − lr · scale · u."""
        if not segment.matrices:
            adam_step("_fused_adamw_", self, segment, lr * (self.adamw_lr or self.lr) / self.lr, count)
            return
        mean = segment.slots["mean"].lerp_(segment.gradients, 1 - self.momentum)
        moves = segment.gradients.lerp(mean, self.momentum) if self.nesterov else mean
        if segment.decay:
            segment.values.mul_(1 - lr * self.weight_decay)
        for start, rows, columns in segment.matrices:
            place = slice(start, start + rows * columns)
            move = orthogonalize(moves[place].view(rows, columns), self.num_iterations)
            segment.values[place].view(rows, columns).add_(move, alpha=-lr * self._scale(rows, columns))

    def _scale(self, rows: int, columns: int) -> float:
        if self.scale == "adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1.0, rows / columns))


def orthogonalize(matrix: Tensor, num_iterations: int) -> Tensor:
    """The matrix with all its singular values brought near 1 (0.7 … 1.2), by Newton and Schulz's iteration.

    X ← aX + (bA + cA²)X with A = XXᵀ, from X = matrix / its Frobenius norm. In bfloat16 on a GPU, as its authors have
    it; in the matrix's own dtype on a CPU, where bfloat16 is slower for small products (measured: docs/log.md, Muon).

    Args:
        matrix: (R, C), not changed.
        num_iterations: rounds; five suffice.

    Returns:
        (R, C).
    """
    import torch

    a, b, c = _COEFFICIENTS
    rows, columns = matrix.shape
    found = matrix.bfloat16() if matrix.is_cuda else matrix
    found = found.T if rows > columns else found
    found = found / found.norm().clamp(min=_EPS)
    for _ in range(num_iterations):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return (found.T if rows > columns else found).to(matrix.dtype)
