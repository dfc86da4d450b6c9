"""A network whose inputs come in order, as exporters want them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from danlu.design.network import Network


class Positional(nn.Module):
    """A network that takes its inputs in order."""

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """(B, K) outputs."""
        outputs: Tensor = self.network(dict(zip(self.names, inputs, strict=True)))
        return outputs
