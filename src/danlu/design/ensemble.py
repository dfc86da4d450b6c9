"""Several networks that answer as one: their probabilities, or values, are averaged.

Shapes: B batch, K outputs of a member, M members.

It is a `Network` like any other: its encoders are the members, its fusion lays their outputs side by side, its head is
the mean. So whatever scores, exports, compresses or serves a network does so with this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from danlu.design.layers.mean_answer import MeanAnswer
from danlu.design.network import Encoded, Network


class Member(nn.Module):
    """A whole network as an encoder: what it gives are its outputs."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.width = network, network.task.num_outputs

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, K)."""
        return Encoded(self.network(inputs))


class SideBySide(nn.Module):
    """M times (B, K) → (B, M, K)."""

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """(B, M, K)."""
        return torch.stack([one.values for one in encoded], 1)


def ensemble(members: Sequence[Network]) -> Network:
    """One network of several, which have the same columns and the same design.

    Args:
        members: they become parts of it.
    """
    first = members[0]
    description: dict[str, Any] = {"members": len(members), "member": dict(first.description)}
    return Network(
        schema=first.schema,
        task=first.task,
        encoders=[Member(one) for one in members],
        fusion=SideBySide(),
        head=MeanAnswer(first.task, len(members)),
        description=description,
    )


def members_of(network: Network) -> list[Network]:
    """The networks that an ensemble is made of; none for any other network."""
    return [one.network for one in network.encoders if isinstance(one, Member)]
