"""From tokens to one vector.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import Linear, linear


def mean_tokens(values_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    """(B, D): the mean over the tokens that are there; 0 where none is.

    Args:
        values_BTD: finite, padding too.
        mask_BT: bool, True for tokens that are there; None where all are.
    """
    if mask_BT is None:
        return values_BTD.mean(dim=1)
    present_BT1 = mask_BT.unsqueeze(-1).to(values_BTD.dtype)
    return (values_BTD * present_BT1).sum(dim=1) / present_BT1.sum(dim=1).clamp(min=1)


def first_token(values_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    """(B, D): the first token; 0 where none is there."""
    first_BD = values_BTD[:, 0]
    return first_BD if mask_BT is None else first_BD * mask_BT[:, :1].to(values_BTD.dtype)


def last_token(values_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    """(B, D): the last token before padding, which stands at the end; 0 where none is there."""
    if mask_BT is None:
        return values_BTD[:, -1]
    place_B = (mask_BT.sum(dim=1) - 1).clamp(min=0)
    place_B1D = place_B.view(-1, 1, 1).expand(-1, 1, values_BTD.shape[2])
    return values_BTD.gather(1, place_B1D).squeeze(1) * mask_BT[:, :1].to(values_BTD.dtype)


class AttentionPooling(nn.Module):
    """The mean of the tokens, each weighed by what it says; (B, T, D) → (B, D).

        a = softmax over the tokens that are there of uᵀ tanh(W x_t + b);  y = Σ_t a_t x_t

    0 where no token is there. u starts near 0: at first all weigh nearly the same.
    Source: Yang et al., "Hierarchical Attention Networks for Document Classification", 2016 (section 2.2).

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = linear(width, width)
        self.score = Linear(width, 1, bias=False)  # a bias would change no weight
        nn.init.normal_(self.score.weight, std=1e-3)

    def forward(self, values_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """(B, D), in the precision of the weights.

        Args:
            values_BTD: finite, padding too.
            mask_BT: bool, True for tokens that are there; None where all are.
        """
        values_BTD = values_BTD.to(self.hidden.weight.dtype)
        scores_BT = self.score(torch.tanh(self.hidden(values_BTD))).squeeze(2)
        if mask_BT is None:
            return (torch.softmax(scores_BT, dim=1).unsqueeze(1) @ values_BTD).squeeze(1)
        weights_BT = torch.softmax(scores_BT.masked_fill(~mask_BT, -1e4), dim=1) * mask_BT.to(scores_BT.dtype)
        return (weights_BT.unsqueeze(1) @ values_BTD).squeeze(1)


POOLINGS = {"mean": mean_tokens, "first": first_token, "last": last_token}


def steps_and_mask(slot: Slot, given: Tensor) -> tuple[Tensor, Tensor | None]:
    """A series' (B, T, C) steps and (B, T) mask, or (B, T) tokens and theirs; no mask where rows have no padding.

    Args:
        slot: where the field lies; it says whether there is padding.
        given: the input, (B, T, C), (B, T, C + 1) with the mask as last channel, or (B, T) codes.
    """
    if not slot.field.masked:
        return given, None
    if slot.field.kind == "tokens":
        return given, given != 0
    return given[:, :, :-1], given[:, :, -1] > 0.5
