"""The cases' networks in plain torch, for all toolkits that train torch modules.

Shapes: B batch, T time or token, C channels, D width, K classes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from cases import NUM_HEADS, NUM_TOKENS, Case
from measured import Measured
from torch import Tensor, nn
from torch.nn import functional


def network(case: Case) -> nn.Module:
    """The case's network: rows in, (B, K) logits out."""
    if case.network == "dense":
        return dense((*case.shape, *case.widths, case.num_classes))
    return {"cnn": Pictures, "lstm": Series, "transformer": Tokens}[case.network](case)


def tensors(asked: Measured, split: str) -> tuple[Tensor, Tensor]:
    """A split's rows as torch's layers take them, and their classes."""
    inputs = torch.from_numpy(np.ascontiguousarray(asked.inputs(split)))
    inputs = inputs.permute(0, 3, 1, 2).contiguous() if asked.case.network == "cnn" else inputs
    return inputs, torch.from_numpy(asked.classes(split))


def settle(asked: Measured) -> None:
    """The seed, and the threads where they are given."""
    torch.manual_seed(asked.seed)
    if asked.threads:
        torch.set_num_threads(asked.threads)


def answers(module: nn.Module, asked: Measured) -> np.ndarray:
    """(N,) classes of the test rows."""
    module.eval()
    with torch.inference_mode():
        inputs, _ = tensors(asked, "test")
        return torch.cat([module(part).argmax(1) for part in inputs.split(256)]).numpy()


def dense(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLU between."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(widths)):
        layers += [nn.ReLU()] * (index > 0) + [nn.Linear(before, after)]
    return nn.Sequential(*layers)


class Pictures(nn.Module):
    """(B, 1, 28, 28) → convolution, ReLU, pooling, twice, then two dense layers."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        first, second, width = case.widths
        self.first = nn.Conv2d(1, first, 3, padding="same")
        self.second = nn.Conv2d(first, second, 3, padding="same")
        self.dense = dense((second * 7 * 7, width, case.num_classes))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.first(x)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        return self.dense(x.flatten(1))


class Series(nn.Module):
    """(B, T, C) → LSTM layers, whose last state is classified."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.layers = nn.LSTM(case.shape[1], case.widths[0], len(case.widths), batch_first=True)
        self.head = nn.Linear(case.widths[-1], case.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x)[0][:, -1])


class Tokens(nn.Module):
    """(B, T) → blocks of attention and a dense layer, normalised first; the mean over tokens is classified."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width = case.widths[0]
        self.tokens = nn.Embedding(NUM_TOKENS, width)
        self.places = nn.Parameter(torch.randn(case.shape[0], width) * 0.02)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(width) for width in case.widths))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, case.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places)).mean(1))


class Block(nn.Module):
    """(B, T, D) → (B, T, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        parts = self.queries(self.before(x)).view(batch, count, 3, NUM_HEADS, width // NUM_HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.joined(seen.transpose(1, 2).reshape(batch, count, width))
        return x + self.dense(self.between(x))
