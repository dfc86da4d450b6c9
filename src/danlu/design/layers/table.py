"""Vectors for the numbers and categories of a table, each with an embedding of its own.

Shapes: B batch, S scalars, C codes, E embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.number_embedding import BinEmbedding, LinearEmbedding, PeriodicEmbedding

Numbers = Literal["none", "linear", "periodic", "bins"]


class TableVectors(nn.Module):
    """(B, S) scalars and (B, C) codes → a vector for each of them.

    A missing number has a vector of its own, as have a missing and an unseen category.

    Args:
        numbers: how numbers enter.
        number_dim: width of a number's vector; 1 where numbers enter as they are.
        category_dim: width of a category's vector.
        slots: where the columns' fields lie.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("missing",)

    value_index: Tensor
    missing_index: Tensor
    missing_of: Tensor
    code_index: Tensor
    code_offset: Tensor

    def __init__(self, numbers: Numbers, number_dim: int, category_dim: int, slots: Sequence[Slot]) -> None:
        super().__init__()
        values, missing = _scalar_places(slots)
        codes = [slot for slot in slots if slot.field.kind == "code"]
        self.num_scalars, self.num_codes = len(values), len(codes)
        self.has_missing = any(place >= 0 for place in missing)
        self.number_dim = 1 if numbers == "none" else number_dim
        self.category_dim = category_dim
        if values:
            self.register_buffer("value_index", torch.tensor(values), persistent=False)
            self.in_order = values == list(range(len(values)))
            self.numbers = _number_embedding(numbers, number_dim, _edges(slots, values))
            if self.has_missing:
                with_flag = [index for index, place in enumerate(missing) if place >= 0]
                flags = [place for place in missing if place >= 0]
                self.register_buffer("missing_index", torch.tensor(flags), persistent=False)
                self.register_buffer("missing_of", _one_hot(with_flag, len(values)), persistent=False)
                self.missing = nn.Parameter(torch.randn(len(values), self.number_dim) * 0.1)
        if codes:
            offsets = torch.tensor([0, *(slot.field.num_codes for slot in codes)]).cumsum(0)
            self.register_buffer("code_index", torch.tensor([slot.start for slot in codes]), persistent=False)
            self.register_buffer("code_offset", offsets[:-1], persistent=False)
            self.categories = nn.Embedding(int(offsets[-1]), category_dim)
            nn.init.normal_(self.categories.weight, std=category_dim**-0.5)
            with torch.no_grad():  # until training says otherwise, missing and unseen are the mean of all values
                for slot, offset in zip(codes, offsets.tolist(), strict=False):
                    self.categories.weight[offset : offset + slot.field.reserved] = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Of each vector, in their order."""
        return (self.number_dim,) * self.num_scalars + (self.category_dim,) * self.num_codes

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, S) and (B, C) → (B, sum of widths), all vectors side by side."""
        parts = [part.flatten(1) for part in self.parts(inputs)]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def parts(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """(B, S) and (B, C) → (B, S, E) and (B, C, E), of which one may be absent."""
        found: list[Tensor] = []
        if self.num_scalars:
            found.append(self._numbers(inputs["scalars"]))
        if self.num_codes:
            codes_BC = inputs["codes"][:, self.code_index].long() + self.code_offset
            found.append(self.categories(codes_BC))
        return found

    def _numbers(self, scalars: Tensor) -> Tensor:
        whole = self.in_order and scalars.shape[1] == self.num_scalars
        values_BS = scalars if whole else scalars[:, self.value_index]
        vectors_BSE = values_BS.unsqueeze(-1) if self.numbers is None else self.numbers(values_BS)
        if not self.has_missing:
            return vectors_BSE
        flags_BS1 = (scalars[:, self.missing_index] @ self.missing_of).unsqueeze(-1)
        return vectors_BSE * (1 - flags_BS1) + self.missing * flags_BS1


def _number_embedding(numbers: Numbers, width: int, edges: Sequence[tuple[float, ...]]) -> nn.Module | None:
    if numbers == "none":
        return None
    if numbers == "linear":
        return LinearEmbedding(len(edges), width)
    if numbers == "bins":
        return BinEmbedding(edges, width)
    return PeriodicEmbedding(len(edges), width, num_frequencies=16, sigma=0.1)


def _edges(slots: Sequence[Slot], places: Sequence[int]) -> list[tuple[float, ...]]:
    """The edges of the column that gives each of these packed scalars."""
    scalars = [slot for slot in slots if slot.field.kind == "scalar"]
    found = {place: slot.field.edges for slot in scalars for place in range(slot.start, slot.stop)}
    return [found[place] for place in places]


def _scalar_places(slots: Sequence[Slot]) -> tuple[list[int], list[int]]:
    """For each value in the packed scalars: its place, and the place of the flag that stands for it, or -1.

    A column's field "missing" stands for its value, but where fillers give one, or where that is a code.
    """
    scalars = [slot for slot in slots if slot.field.kind == "scalar"]
    valued = {slot.column for slot in scalars if slot.field.name != "missing"}
    stands = [slot.field.name == "missing" and not slot.filled and slot.column in valued for slot in scalars]
    flags = {slot.column: slot.start for slot, stand in zip(scalars, stands, strict=True) if stand}
    values = [slot for slot, stand in zip(scalars, stands, strict=True) if not stand]
    places = [place for slot in values for place in range(slot.start, slot.stop)]
    return places, [flags.get(slot.column, -1) for slot in values for _ in range(slot.start, slot.stop)]


def _one_hot(places: Sequence[int], width: int) -> Tensor:
    """(len(places), width) float32 with a one in each row."""
    matrix = torch.zeros(len(places), width)
    matrix[torch.arange(len(places)), torch.tensor(places)] = 1
    return matrix
