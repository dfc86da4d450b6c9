"""Joining columns where each token of one of them has an answer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from danlu.design.fusion.fusion import Fusion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Tokens(Fusion):
    """Every token of one column with the vectors of all other columns beside it. Tagging has it, whatever is named.

    Attributes:
        place: of the encoder that gives the tokens, from 0; it is found by itself.
    """

    place: Annotated[int, Ge(0)] = 0

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The module for encoders of these widths."""
        from danlu.design.layers.token_scores import TokenFusion

        return TokenFusion(widths, self.place)
