"""Losses of answers that have several parts: a set of labels, a tag for each token, a pair of vectors.

Shapes: B batch, K labels or tags, T tokens, D width.

A row counts as one, whatever its parts' class weights are (`weighs_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Lt

from danlu.tasks.losses import VALIDATION_LOSS, Reduction

if TYPE_CHECKING:
    from torch import Tensor

    from danlu.tasks.task import Task

_BLOCK = 1024  # pairs that are held against each other at most


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy:
    """Negative log likelihood of a set: each label is there or not, whatever the others are; the mean over the labels.

    With class weights a label's rows count so much more: its p of `−log p` where it is there, not where it is absent.
    """

    tasks: ClassVar[tuple[str, ...]] = ("multilabel",)
    monitor: ClassVar[str] = VALIDATION_LOSS
    link: ClassVar[str] = ""
    weighs_rows: ClassVar[bool] = False

    def value(
        self, scores_BK: Tensor, target_BK: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """1/K Σ_k −w_k · y_k · log p_k − (1 − y_k) · log (1 − p_k), p being the logits' sigmoids."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        truth_BK = target_BK.to(scores_BK.dtype)
        found = binary_cross_entropy_with_logits(scores_BK, truth_BK, pos_weight=class_weights_K, reduction=reduction)
        return found if reduction == "mean" else found / scores_BK.shape[1]


@dataclass(frozen=True, kw_only=True)
class TagCrossEntropy:
    """Negative log likelihood of each token's tag; padding, and tags that no training row has, count for nothing.

    Every token counts alike: a row's sum is divided by the tokens that a training row has on average.

    Attributes:
        label_smoothing: share of the truth that is spread evenly over all tags.
        row_tokens: tokens that a row's sum is divided by; those of a training row on average where none is given.
    """

    tasks: ClassVar[tuple[str, ...]] = ("tagging",)
    monitor: ClassVar[str] = ""
    link: ClassVar[str] = ""
    weighs_rows: ClassVar[bool] = False

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    row_tokens: Annotated[float, Gt(0)] | None = None

    def for_task(self, task: Task) -> TagCrossEntropy:
        """The same with the tokens of a training row."""
        tokens: float = task.target.state.row_tokens  # type: ignore[attr-defined]
        return self if self.row_tokens is not None else replace(self, row_tokens=tokens)

    def value(
        self, scores_BTK: Tensor, target_BT: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """Σ_t −w · log p(true tag of t) / row_tokens."""
        from torch.nn.functional import cross_entropy

        codes_BT = target_BT[:, : scores_BTK.shape[1]].long()
        codes_BT = codes_BT.where(codes_BT >= 0, codes_BT.new_full((), -1))
        loss = cross_entropy(
            scores_BTK.transpose(1, 2),
            codes_BT,
            weight=class_weights_K,
            ignore_index=-1,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        loss = loss / (self.row_tokens or 1.0)
        return loss / len(scores_BTK) if reduction == "mean" else loss


@dataclass(frozen=True, kw_only=True)
class InfoNce:
    """Of all second parts in the batch, how surely the right one is found by its first part; and the other way round.

    The rows of a batch are each other's wrong answers: larger batches are harder and teach more. A batch that is taken
    in parts has those of its part.

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018; symmetric, with a
    learned temperature: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
    """

    tasks: ClassVar[tuple[str, ...]] = ("contrastive",)
    monitor: ClassVar[str] = ""
    link: ClassVar[str] = "unit"
    weighs_rows: ClassVar[bool] = False

    def value(
        self, scores_B2D: Tensor, target_B: Tensor, class_weights_K: Tensor | None, reduction: Reduction = "mean"
    ) -> Tensor:
        """½ Σ_i −log softmax_j(u_i · v_j)_i − log softmax_j(v_i · u_j)_i, in blocks of at most 1,024 pairs.

        Args:
            scores_B2D: unit vectors times the root of the inverse temperature.
            target_B: of no use.
            class_weights_K: None.
            reduction: as of `Loss.value`.
        """
        import torch

        total = scores_B2D.new_zeros(())
        for block in torch.split(scores_B2D, _BLOCK):
            logits_BB = block[:, 0] @ block[:, 1].T
            own_B = torch.arange(len(block), device=block.device)
            losses = [
                torch.nn.functional.cross_entropy(one, own_B, reduction="sum") for one in (logits_BB, logits_BB.T)
            ]
            total = total + (losses[0] + losses[1]) / 2
        return total / len(scores_B2D) if reduction == "mean" else total
