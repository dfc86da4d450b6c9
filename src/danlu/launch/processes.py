"""The workers as each of them sees the others: torch.distributed, gloo between CPUs and nccl between GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore

from danlu.base.devices import choose_device
from danlu.base.errors import DanluError
from danlu.recipe.schema import Recipe

_PATIENCE = timedelta(minutes=30)  # that one may wait for the others: the first of them may be writing or validating


class LostError(Exception):
    """Another worker is gone, or does not answer."""


class Processes:
    """See `danlu.train.stepping.workers.Workers`."""

    def __init__(self, device: str, *, sharded: bool) -> None:
        self.rank, self.count = distributed.get_rank(), distributed.get_world_size()
        self.device, self.sharded = device, sharded and self.count > 1

    def add(self, values: Tensor) -> None:
        """One all-reduce."""
        _heard(lambda: distributed.all_reduce(values))

    def spread(self, values: Tensor) -> None:
        """One broadcast."""
        there = values if values.device.type == self.device.split(":")[0] else values.to(self.device)
        there = there.contiguous()
        _heard(lambda: distributed.broadcast(there, 0))
        if there is not values:
            values.copy_(there)

    def spread_bytes(self, value: bytes) -> bytes:
        """Their number, then they themselves."""
        size = torch.tensor([len(value)])
        self.spread(size)
        content = torch.zeros(int(size), dtype=torch.uint8)
        if self.rank == 0:
            content.copy_(torch.frombuffer(bytearray(value), dtype=torch.uint8))
        self.spread(content)
        return bytes(content.numpy().tobytes())

    def shard(self, network: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """FSDP2: gradients are added up, not averaged."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

        mesh = init_device_mesh(self.device.split(":")[0], (self.count,))
        for module in (*blocks, network):
            fully_shard(module, mesh=mesh)
            assert isinstance(module, FSDPModule)
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo can only add
        register_fsdp_forward_method(network, "member_scores")


@contextmanager
def joined(recipe: Recipe) -> Iterator[Processes]:
    """This process among the others, as the agent's environment says.

    Raises:
        DanluError: the recipe's device cannot be shared.
    """
    device = choose_device(recipe.train.device)
    if device not in ("cpu", "cuda"):
        raise DanluError(f"train.device is {device}; workers train on cpu or cuda", hint="set train.device to cpu")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # and "cuda" then means this one
    elif os.path.exists("/sys/class/net/lo"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all are on this machine
    _heard(lambda: _join("nccl" if device == "cuda" else "gloo"))
    try:
        yield Processes(device, sharded=recipe.launch.strategy == "fsdp")
    finally:
        distributed.destroy_process_group()


def _join(backend: str) -> None:
    """Find the others through the agent's store, where those of earlier starts have left their addresses too."""
    told = os.environ
    address, port, start = told["MASTER_ADDR"], int(told["MASTER_PORT"]), told["TORCHELASTIC_RESTART_COUNT"]
    shared = distributed.TCPStore(address, port, is_master=False, timeout=_PATIENCE)  # type: ignore[attr-defined]
    store = PrefixStore(f"start-{start}", shared)
    rank, count = int(told["RANK"]), int(told["WORLD_SIZE"])
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_PATIENCE)


def _heard(call: Callable[[], Any]) -> None:
    """Call the backend; what it raises is that another worker was lost. Raises LostError."""
    try:
        call()
    except RuntimeError as error:
        raise LostError(str(error)) from error
