"""What fixed encoders give is the same in every epoch: it is computed once for each row, before the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from danlu.base.progress import Progress, Task
from danlu.columns.steps import token_counts
from danlu.design.network import Network
from danlu.design.networks.pretrained import PretrainedEncoder
from danlu.prepare.prepared import Split

_ROWS = 64  # at once
_MOST_BYTES = 1 << 30  # of what is held


def with_features(network: Network, split: Split, progress: Progress) -> Split:
    """A split with one input more for every pre-trained encoder that is fixed: what it gives for each row.

    Pictures that nobody else looks at are left out. Where it would take more than 1 GiB, the split stays as it is.

    Args:
        network: on the device where it is trained.
        split: whose rows nothing changes.
        progress: told of the work.
    """
    inputs = dict(split.inputs)
    for module in network.encoders:
        if isinstance(module, PretrainedEncoder) and module.is_fixed and module.pooling != "none":
            if 4 * module.width * split.num_rows > _MOST_BYTES:
                continue
            with progress.task(f"encode {module.slot.column}", split.num_rows) as task:
                inputs[module.features] = _features(module, split, task)
            if module.slot.field.kind == "image":
                inputs.pop(module.slot.input, None)
    return replace(split, inputs=inputs)


def _features(module: PretrainedEncoder, split: Split, task: Task) -> np.ndarray:
    """(N, D) float32; rows alike long go through the network together."""
    name, array = module.slot.input, split.inputs[module.slot.input]
    is_tokens = module.slot.field.kind == "tokens"
    counts = token_counts(array) if is_tokens else np.zeros(split.num_rows, np.int64)
    order = np.argsort(counts, kind="stable")
    found = np.empty((split.num_rows, module.width), np.float32)
    device, mode = next(module.parameters()).device, module.training
    module.eval()
    with torch.no_grad():
        for start in range(0, split.num_rows, _ROWS):
            rows = order[start : start + _ROWS]
            given = array[rows][:, : max(1, int(counts[rows].max()))] if is_tokens else array[rows]
            values = module({name: torch.from_numpy(np.ascontiguousarray(given)).to(device)}).values
            found[rows] = values.float().cpu().numpy()
            task.advance(len(rows))
    module.train(mode)
    return found
