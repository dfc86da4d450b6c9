"""The squared error of probabilities as a loss.

Shapes: B batch, K outputs (or classes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from danlu.tasks.losses import Reduction, with_first

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Brier:
    """Mean squared error of the classes' probabilities: what logistic regression made small before cross-entropy.

    Unlike cross-entropy's, its gradient fades where the answer is sure and wrong, and a linear model has local minima.
    Source: Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    monitor: ClassVar[str] = "validation_loss"
    link: ClassVar[str] = ""

    def value(
        self, scores_BK: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """Σ_k (p_k − y_k)², p being softmax of the scores; halved for two classes, so that it is (p − y)²."""
        from torch.nn.functional import one_hot

        logits_BK = with_first(scores_BK)
        num_classes, codes_B = logits_BK.shape[1], target_B.long()
        errors_BK = logits_BK.softmax(1) - one_hot(codes_B, num_classes).to(logits_BK.dtype)
        losses_B = errors_BK.square().sum(1) / (2 if num_classes == 2 else 1)
        if class_weights_K is None:
            return losses_B.mean() if reduction == "mean" else losses_B.sum()
        weights_B = class_weights_K[codes_B]
        loss = (losses_B * weights_B).sum()
        return loss / weights_B.sum() if reduction == "mean" else loss
