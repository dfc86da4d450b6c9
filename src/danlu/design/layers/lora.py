"""Small matrices beside the fixed ones of a pre-trained network (LoRA).

Shapes: I inputs, O outputs of a layer, R rank.
"""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.design.layers.dropout import Dropout

Module = TypeVar("Module", bound=nn.Module)


class LoraLinear(nn.Linear):
    """y = W x + b + s · B A dropout(x), W and b being fixed; (…, I) → (…, O).

    A (R, I) starts at random, as torch starts a linear layer's weight, B (O, R) at 0: at first nothing is changed.
    W and b keep the names that they have in the layer it stands for, so that a checkpoint's weights fit.
    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.

    Args:
        layer: what it stands for; its weights are taken.
        rank: R.
        alpha: s = alpha / R.
        dropout: share of the small matrices' inputs silenced in training.
    """

    def __init__(self, layer: nn.Linear, rank: int, *, alpha: float, dropout: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        for weight in layer.parameters():
            weight.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.dropout = Dropout(dropout) if dropout else nn.Identity()

    def forward(self, values: Tensor) -> Tensor:
        """(…, I) → (…, O)."""
        beside = functional.linear(functional.linear(self.dropout(values), self.down), self.up)
        return functional.linear(values, self.weight, self.bias) + self.scale * beside

    def products(self, given: Tensor, output: Tensor) -> int:
        """Operations of its matrix products (a multiply-add counts two)."""
        weights = self.weight.numel() + self.down.numel() + self.up.numel()
        return 2 * output.numel() // self.out_features * weights

    def merged(self) -> nn.Linear:
        """A plain layer that gives the same: W + s · B A, added up in float64 and rounded once."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device=self.weight.device)
        with torch.no_grad():
            product = self.up.double() @ self.down.double()
            layer.weight.copy_(self.weight.double() + self.scale * product)
            if self.bias is not None:
                layer.bias.copy_(self.bias)
        return layer.train(self.training)


def has_lora(network: nn.Module) -> bool:
    """Whether a part of a network has small matrices beside fixed ones."""
    return any(isinstance(module, LoraLinear) for module in network.modules())


def merged(network: Module) -> Module:
    """A network in which all small matrices are added to those they stand beside; the same one where there are none."""
    if not has_lora(network):
        return network
    whole = copy.deepcopy(network)
    for module in list(whole.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, LoraLinear):
                setattr(module, name, child.merged())
    return whole
