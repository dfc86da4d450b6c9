"""Weights of which each worker holds a part (FSDP2): the flat buffers then hold this worker's rows of every weight.

What is written to disk is the same as of one process: whole tensors in the order of `train/weights/flat.py`, so that a
run can go on with any number of workers, sharing its weights out or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from danlu.design.layers.transformer_block import TransformerBlock
from danlu.design.network import Network
from danlu.train.stepping.workers import Workers
from danlu.train.weights.flat import FlatParameters, Region
from danlu.train.weights.groups import parameter_groups

_ALIGN = 32


@dataclass(frozen=True)
class Part:
    """Where one weight lies.

    Attributes:
        whole: its (start, stop) in the flat buffers of one process.
        own: that of this worker's rows among them.
        here: the same rows' (start, stop) in this worker's buffers.
    """

    whole: tuple[int, int]
    own: tuple[int, int]
    here: tuple[int, int]


class ShardedParameters(FlatParameters):
    """`FlatParameters` of this worker's rows of every weight; it has nothing of the other's but its face.

    Args:
        network: whose weights are shared out here.
        workers: among whom.
    """

    def __init__(self, network: Network, workers: Workers) -> None:
        whole = FlatParameters(network)  # for the order of the weights; its buffers go with it
        self.size, self.workers, self.network = len(whole.values), workers, network
        shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
        groups = parameter_groups(network)
        _own_again(network)
        workers.shard(network, blocks(network))
        self._parameters: dict[str, Any] = {name: one for name, one in network.named_parameters() if name in groups}
        self.places: dict[str, tuple[int, int]] = {}
        self.parts: dict[str, Part] = {}
        regions, end = [], 0
        for region in whole.regions:
            start = end
            for name in (name for name, place in whole.places.items() if region.start <= place[0] < region.stop):
                part = _part(whole.places[name], shapes[name], workers, end)
                self.parts[name], self.places[name] = part, part.here
                end += -(-(part.here[1] - part.here[0]) // _ALIGN) * _ALIGN
            if end > start:
                regions.append(Region(region.group, start, end, (), region.stride))
        self.regions = tuple(regions)
        first = next(iter(self._parameters.values()))
        self.values = torch.zeros(end, device=first.device, dtype=first.dtype)
        self.summed = torch.zeros(end + _ALIGN, device=first.device, dtype=first.dtype)
        self.gradients = self.summed[:end]
        with torch.no_grad():
            for name, (start, stop) in self.places.items():
                self.values[start:stop] = _rows(self._parameters[name])

    def clear(self) -> None:
        """Set all gradients to zero."""
        self.gradients.zero_()
        for parameter in self._parameters.values():
            parameter.grad = None

    def gather(self, *, anew: bool = False) -> None:
        """Add the gradients that backward left to `gradients`."""
        for name, (start, stop) in self.places.items():
            gradient = self._parameters[name].grad
            if gradient is not None:
                self.gradients[start:stop] += _rows(gradient)
                self._parameters[name].grad = None

    def refresh(self) -> None:
        """Let the modules see the weights as they are now."""
        self._reshard()
        with torch.no_grad():
            for name, (start, stop) in self.places.items():
                local = self._parameters[name].to_local()
                if local.dim() == 4:
                    local = local.permute(0, 2, 3, 1)
                local.copy_(self.values[start:stop].view(local.shape))

    def _reshard(self) -> None:
        """Let the modules have their rows only, where one was put together and nobody has asked for its gradient."""
        for module in self.network.modules():
            reshard = getattr(module, "reshard", None)
            if reshard:
                reshard()

    def show(self) -> None:
        """The modules see the weights themselves."""

    @contextmanager
    def full(self) -> Iterator[None]:
        """The modules see the weights themselves."""
        yield

    def collect(self, flat: Tensor, whole: Tensor) -> None:
        """Put all workers' rows together.

        Args:
            flat: as `values`.
            whole: (P,) on the CPU, as of one process; filled at the first worker.
        """
        for part in self.parts.values():
            found = self._joined(flat, part)
            if self.workers.rank == 0:
                whole[slice(*part.whole)].copy_(found)

    def deal(self, whole: Tensor, flat: Tensor) -> None:
        """Take this worker's rows out of what `collect` gave; the first worker's counts."""
        for part in self.parts.values():
            piece = flat.new_zeros(part.whole[1] - part.whole[0])
            if self.workers.rank == 0:
                piece.copy_(whole[slice(*part.whole)])
            self.workers.spread(piece)
            first = part.own[0] - part.whole[0]
            flat[slice(*part.here)] = piece[first : first + part.own[1] - part.own[0]]

    def weights(self) -> dict[str, Tensor]:
        """The network's whole weights and buffers under their names, on the CPU."""
        self._reshard()
        found = {}
        for name, value in self.network.state_dict().items():
            whole = value.full_tensor() if hasattr(value, "full_tensor") else value
            found[name] = whole.detach().cpu().contiguous().clone()
        return found

    def _joined(self, flat: Tensor, part: Part) -> Tensor:
        """One weight's numbers of all workers; added up as whole numbers, so that every bit stays."""
        found = flat.new_zeros(part.whole[1] - part.whole[0])
        first = part.own[0] - part.whole[0]
        found[first : first + part.own[1] - part.own[0]] = flat[slice(*part.here)]
        self.workers.add(found.view(torch.int32))
        return found


class WholeState:
    """What checkpoints hold: the tensors of one process, on the CPU of the first worker.

    Args:
        live: the tensors that training changes.
        flat: whose buffers, and the optimizer's, are shared out.

    Attributes:
        tensors: name → whole tensor; those that nobody shares out are the live ones.
    """

    def __init__(self, live: Mapping[str, Tensor], flat: ShardedParameters) -> None:
        self.flat = flat
        self.shared = {name: one for name, one in live.items() if name == "parameters" or name.startswith("slots/")}
        size = flat.size if flat.workers.rank == 0 else 0
        self.tensors = {**live, **{name: torch.zeros(size) for name in self.shared}}
        self.collect()

    def collect(self) -> None:
        """Bring the whole tensors up to date."""
        for name, tensor in self.shared.items():
            self.flat.collect(tensor, self.tensors[name])

    def deal(self) -> dict[str, Tensor]:
        """Share the first worker's whole tensors out; gives those that nobody shares out."""
        for name, tensor in self.shared.items():
            self.flat.deal(self.tensors[name], tensor)
        return {name: tensor for name, tensor in self.tensors.items() if name not in self.shared}


def blocks(network: Network) -> list[nn.Module]:
    """What is put together as one when it runs: blocks of Transformers, encoders, the head."""
    found = [module for module in network.modules() if isinstance(module, TransformerBlock)]
    units = [*found, *network.encoders, network.head]
    return [module for module in units if next(module.parameters(), None) is not None]


def _own_again(network: nn.Module) -> None:
    """Give every parameter memory of its own, and no gradient."""
    for parameter in network.parameters():
        parameter.grad = None
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


def _part(whole: tuple[int, int], shape: torch.Size, workers: Workers, start: int) -> Part:
    """FSDP2 shares rows out as `torch.chunk` does: the last workers may have fewer, or none."""
    rows = shape[0]
    row = (whole[1] - whole[0]) // rows
    most = -(-rows // workers.count)
    first, last = min(workers.rank * most, rows), min((workers.rank + 1) * most, rows)
    own = whole[0] + first * row, whole[0] + last * row
    return Part(whole, own, (start, start + own[1] - own[0]))


def _rows(sharded: Any) -> Tensor:
    """This worker's rows, flat; convolutions lie channels last."""
    local: Tensor = sharded.to_local()
    return (local.permute(0, 2, 3, 1) if local.dim() == 4 else local).reshape(-1)
