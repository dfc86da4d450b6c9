"""A small Transformer over a sequence of tokens or a series.

Shapes: B batch, T tokens, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer, schedule
from danlu.design.faults import check_heads

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Blocks of attention and feed-forward layers over tokens, or over the steps of a series.

    BERT's form is `norm: post` with `pooling: first`.

    Attributes:
        num_layers: blocks.
        num_heads: heads of the attention; they divide the width.
        width: width of a token.
        feed_forward: width of the feed-forward layers; none gives four times the width.
        dropout: share of each branch's values silenced in training.
        causal: whether a token sees only what is before it, and itself.
        positions: how a token's place is told: by a `learned` vector for each place, or by queries and keys that are
            turned by it (`rotary`), so that attention knows how far tokens are apart.
        norm: whether norms stand before each layer (`pre`), which trains without warm-up, or behind each sum (`post`).
        pooling: the `mean` of the tokens, the `first`, or the `last` one, their mean weighed by `attention`, and with
            `none` all of them. Before a text, `first` is given a token of its own.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("tokens", "series")

    num_layers: Annotated[int, Ge(1), Le(128)] = 4
    num_heads: Annotated[int, Ge(1), Le(128)] = 4
    width: Annotated[int, Ge(1), Le(8192)] = 128
    feed_forward: Annotated[int, Ge(1), Le(65536)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    causal: bool = False
    positions: Literal["learned", "rotary"] = "learned"
    norm: Literal["pre", "post"] = "pre"
    pooling: Literal["mean", "first", "last", "attention", "none"] = "mean"

    def advice(self) -> Advice:
        """Attention is easily thrown off at first: the step size rises slowly, and gradients are clipped."""
        lr, warmup = (1e-3, 0.05) if self.norm == "pre" else (3e-4, 0.1)
        rising = schedule("cosine", warmup=warmup)
        return Advice(optimizer=optimizer("adamw", lr=lr), schedule=rising, clip_norm=1.0)

    def column_options(self, type: str) -> Mapping[str, Any]:
        """Texts have a token before their first, where that one answers for them."""
        return {"ends": True} if type == "text" and self.pooling == "first" else {}

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column. Raises RecipeError where options do not go together."""
        (slot,) = slots
        place = f"design.encoders.{slot.column}"
        check_heads(place, self.num_heads, self.width)
        if self.positions == "rotary" and self.width // self.num_heads % 2:
            message = f"is rotary, which turns pairs of numbers, and a head has {self.width // self.num_heads}"
            hint = "set width to an even multiple of num_heads"
            raise RecipeError([Fault(path=f"{place}.positions", message=message, hint=hint)])
        if self.causal and self.pooling == "first":
            message = "is first, and a causal network's first token sees no other"
            raise RecipeError([Fault(path=f"{place}.pooling", message=message, hint="set pooling to last or mean")])
        from danlu.design.networks.transformer import TransformerEncoder

        return TransformerEncoder(self, slot)
