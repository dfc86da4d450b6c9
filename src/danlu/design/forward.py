"""Running a network over many rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from danlu.base.arrays import stretch
from danlu.design.network import Network


def outputs(
    network: Network, inputs: Mapping[str, np.ndarray], batch_size: int = 1024, *, scores: bool = False
) -> np.ndarray:
    """The network's outputs in evaluation mode, without gradients; its mode is put back.

    Args:
        network: on any device.
        inputs: input name → (N, *shape), as `Schema.encode` gives them; large memory-mapped ones are read from their
            files batch by batch, so that none of them stays in memory.
        batch_size: rows at a time. It may change the last bits of the outputs.
        scores: give the scores that a loss takes instead.

    Returns:
        (N, num_outputs) float32.
    """
    num_rows = len(next(iter(inputs.values())))
    found = np.empty((num_rows, network.task.num_outputs), np.float32)
    device = next(network.parameters()).device
    mode, run = network.training, network.scores if scores else network
    network.eval()
    try:
        with torch.no_grad():
            for start, stop in spans(num_rows, batch_size):
                batch = {
                    name: torch.from_numpy(stretch(array, start, stop)).to(device) for name, array in inputs.items()
                }
                found[start:stop] = run(batch).float().cpu().numpy()
    finally:
        network.train(mode)
    return found


def spans(num_rows: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of every piece of `size` rows, the last one shorter."""
    for start in range(0, num_rows, size):
        yield start, min(start + size, num_rows)
