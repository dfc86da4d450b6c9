"""From tokens to one vector.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from danlu.columns.schema import Slot

Pooling = Literal["mean", "first", "last"]


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
