"""Recurrent layers over steps.

Shapes: B batch, T steps, C channels, D units of one direction.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from danlu.design.layers.attention import Attention
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import first_token, last_token

Cell = Literal["lstm", "gru", "rnn"]
_CELLS: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


class Recurrent(nn.Module):
    """Layers of one kind of cell; (B, T, C) → (B, T, D), or (B, T, 2 D) with both directions.

    With s_t = W x_t + U h_{t−1} + b for each gate, weights W (D, C), U (D, D) of its own, and h_0 = c_0 = 0:

        lstm    i, f, o = σ(s_t);  g = tanh(s_t);  c_t = f · c_{t−1} + i · g;  h_t = o · tanh(c_t)
        gru     r, z = σ(s_t);  n = tanh(W x_t + b + r · (U h_{t−1} + b'));  h_t = (1 − z) · n + z · h_{t−1}
        rnn     h_t = tanh(s_t)

    A layer above takes h as its x; with both directions, those of the two side by side. The one that goes back begins
    at the last step that is there, so that padding changes nothing before it.

    With `attention` the states of each layer but the last look at each other before the next layer takes them:

        h' = h + attention(norm(h))                  one head; norm(h) = (h − mean) / √(variance + 1e-5) · g + b

    W start Glorot-uniform and U orthogonal, each matrix by itself; biases 0, but 1 for f: memory lasts at first.
    One direction is one call of torch's own layer for all layers. With dropout or attention between them it is one a
    layer, since masks of torch's own could not be shared by several workers; with both directions it is two.
    Source: Hochreiter and Schmidhuber, 1997; Gers et al., 2000 (lstm); Cho et al., 2014, in the form of which r stands
    after the product (gru); Elman, 1990 (rnn); Jozefowicz et al., "An Empirical Exploration of Recurrent Network
    Architectures", 2015 (the bias of f); Cheng et al., "Long Short-Term Memory-Networks for Machine Reading", 2016
    (attention within the recurrence's own states).

    Args:
        in_dim: C.
        width: D.
        num_layers: layers.
        cell: `lstm`, `gru` or `rnn`.
        dropout: share of the values between two layers silenced in training.
        bidirectional: whether to read each series from both ends.
        attention: whether attention stands between layers.
    """

    def __init__(
        self,
        in_dim: int,
        width: int,
        num_layers: int,
        *,
        cell: Cell = "lstm",
        dropout: float = 0.0,
        bidirectional: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.width = 2 * width if bidirectional else width
        self.layered = bidirectional or ((dropout > 0 or attention) and num_layers > 1)
        if self.layered:
            widths = [in_dim] + [self.width] * (num_layers - 1)
            self.forwards = nn.ModuleList(_layers(cell, one, width, 1) for one in widths)
            self.backwards = nn.ModuleList(_layers(cell, one, width, 1) for one in widths if bidirectional)
            between = range(num_layers - 1 if attention else 0)
            self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in between)
            self.attentions = nn.ModuleList(Attention(self.width, 1, causal=False) for _ in between)
            self.dropout = Dropout(dropout) if dropout else nn.Identity()
        else:
            self.layers = _layers(cell, in_dim, width, num_layers)

    def forward(self, values_BTC: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """(B, T, C) → (B, T, D or 2 D), in the precision of the weights; what stands at padding has no meaning.

        Args:
            values_BTC: steps, in any precision.
            mask_BT: bool, True for steps that are there; None where all are.
        """
        if not self.layered:
            values_BTD: Tensor = self.layers(values_BTC.to(_dtype(self.layers)))[0]
            return values_BTD
        places_BT = None if mask_BT is None else _turned(mask_BT)
        values = values_BTC.to(_dtype(self.forwards[0]))
        for index, ahead in enumerate(self.forwards):
            values = values if index == 0 else self.dropout(values)
            found = ahead(values)[0]
            if self.bidirectional:
                turned_BTD = self.backwards[index](_turn(values, places_BT))[0]
                found = torch.cat([found, _turn(turned_BTD, places_BT)], dim=2)
            if index < len(self.attentions):
                found = found + self.attentions[index](self.norms[index](found), mask_BT)
            values = found
        return values

    def last(self, values_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """(B, D or 2 D): the state when all has been read, of the direction that goes back that at the first step."""
        if not self.bidirectional:
            return last_token(values_BTD, mask_BT)
        ahead_BTD, back_BTD = values_BTD.chunk(2, dim=2)
        return torch.cat([last_token(ahead_BTD, mask_BT), first_token(back_BTD, mask_BT)], dim=1)


def _dtype(layers: nn.Module) -> torch.dtype:
    """The precision of the weights."""
    return next(layers.parameters()).dtype


def _turned(mask_BT: Tensor) -> Tensor:
    """(B, T) int64: for each place that of the step which stands there once the steps are turned round."""
    place_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    turned_BT = mask_BT.sum(dim=1, keepdim=True) - 1 - place_T
    return torch.where(mask_BT, turned_BT, place_T)


def _turn(values_BTD: Tensor, places_BT: Tensor | None) -> Tensor:
    """Steps in reverse, padding where it was; twice, they are as before."""
    if places_BT is None:
        return values_BTD.flip(1)
    return values_BTD.gather(1, places_BT.unsqueeze(2).expand(-1, -1, values_BTD.shape[2]))


def _layers(cell: Cell, in_dim: int, width: int, num_layers: int) -> nn.RNNBase:
    layers: nn.RNNBase = _CELLS[cell](in_dim, width, num_layers, batch_first=True)
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
                if cell == "lstm" and name.startswith("bias_ih"):
                    parameter[width : 2 * width] = 1.0  # the gates come in the order i, f, g, o
                continue
            start = nn.init.xavier_uniform_ if name.startswith("weight_ih") else nn.init.orthogonal_
            for gate in parameter.chunk(_GATES[cell]):
                start(gate)
    return layers
