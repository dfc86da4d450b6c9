"""Running a network over many rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from danlu.base.arrays import stretch
from danlu.columns.schema import rows_at_once
from danlu.columns.steps import token_counts
from danlu.design.network import Network

_SORTED_ROWS, _SORTED_BYTES = 16_384, 64 << 20  # rows that are sorted by length together, at most
_ALIKE = 64  # rows at a time where a batch's work hangs on its longest row: up to three times as fast on a processor


def outputs(network: Network, inputs: Mapping[str, np.ndarray], *, scores: bool = False) -> np.ndarray:
    """The network's outputs in evaluation mode, without gradients; its mode is put back.

    Args:
        network: on any device.
        inputs: input name → (N, *shape), as `Schema.encode` gives them; large memory-mapped ones are read from their
            files batch by batch, so that none of them stays in memory.
        scores: give the scores that a loss takes instead.

    Returns:
        (N, *output_shape) float32.
    """
    num_rows = len(next(iter(inputs.values())))
    found = np.zeros((num_rows, *network.task.output_shape), np.float32)
    device = next(network.parameters()).device
    mode, run = network.training, network.scores if scores else network
    network.eval()
    try:
        with torch.no_grad():
            for rows, given in _batches(network, inputs, num_rows):
                batch = {name: torch.from_numpy(array).to(device) for name, array in given.items()}
                values = run(batch).float().cpu().numpy()
                found[rows, : values.shape[1]] = values
    finally:
        network.train(mode)
    return found


def shortened(network: Network) -> tuple[str, ...]:
    """The inputs of tokens that may end where the longest row of a batch does: their encoders take any length."""
    modules: list[Any] = [one for one in network.modules() if getattr(one, "any_length", False)]
    return tuple(dict.fromkeys(one.slot.input for one in modules if one.slot.field.kind == "tokens"))


def sorts(network: Network) -> bool:
    """Whether a batch of rows that are alike long is worth its while: an encoder's work hangs on the longest row."""
    return any(getattr(one, "sorts", False) for one in network.modules())


def _batches(
    network: Network, inputs: Mapping[str, np.ndarray], num_rows: int
) -> Iterator[tuple[np.ndarray | slice, dict[str, np.ndarray]]]:
    """Which rows, and their inputs; where some may be shortened, rows that are alike long are together."""
    names = [name for name in shortened(network) if name in inputs]
    size = rows_at_once({name: array.shape[1:] for name, array in inputs.items()})
    if names and sorts(network) and next(network.parameters()).device.type == "cpu":
        size = min(size, _ALIKE)
    row_bytes = sum(array.nbytes for array in inputs.values()) // max(1, num_rows)
    together = max(size, min(_SORTED_ROWS, _SORTED_BYTES // max(1, row_bytes))) if names else size
    for start, stop in spans(num_rows, together):
        given = {name: stretch(array, start, stop) for name, array in inputs.items()}
        if not names:
            yield slice(start, stop), given
            continue
        counts = {name: token_counts(given[name]) for name in names}
        order = np.argsort(sum(counts.values()), kind="stable")
        for first, last in spans(stop - start, size):
            rows = order[first:last]
            some = {name: array[rows] for name, array in given.items()}
            some |= {name: some[name][:, : max(1, int(counts[name][rows].max()))] for name in names}
            yield start + rows, some


def spans(num_rows: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of every piece of `size` rows, the last one shorter."""
    for start in range(0, num_rows, size):
        yield start, min(start + size, num_rows)
