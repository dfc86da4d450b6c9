"""The loss of the best answer that is the same for all rows: what a network that has learnt anything is below.

Shapes: N rows, K outputs (or classes).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from danlu.design.network import Network
from danlu.prepare.prepared import Split
from danlu.tasks.losses import Loss
from danlu.tasks.task import CLASSES
from danlu.train.stepping.gradients import target_of

_ROWS = 65_536  # as many tell it to a hundredth
_RATE = 1e-6  # the least count whose logarithm is tried
_QUANTILES = 41


def constant_loss(network: Network, loss: Loss, training: Split, class_weights: Tensor | None) -> float | None:
    """The least mean loss of constant scores on the training rows, spread evenly over at most 65,536 of them.

    For classes, labels and tags the logarithms of their (weighted) shares; for a number the best of its mean and 41
    quantiles; for quantiles those. None where there is no such answer, as for pairs.

    Args:
        network: for its task and link.
        loss: what is made small.
        training: the split.
        class_weights: (K,) float32, or None.
    """
    step = max(1, training.num_rows // _ROWS)
    encoded = torch.from_numpy(np.array(training.target[::step])).to(next(network.parameters()).device)
    target = target_of(network, encoded)
    if network.task.name not in (*CLASSES, "regression"):
        tried = _answers(network, loss, target)
    elif target.is_floating_point():
        tried = _numbers(target, network)
    else:
        tried = [_log_shares(target, network.task.num_outputs, class_weights)]
    with torch.no_grad():
        values = [
            loss.value(scores.expand(len(target), *scores.shape).contiguous(), target, class_weights).item()
            for scores in tried
        ]
    return min(values) if values else None


def _answers(network: Network, loss: Loss, target: Tensor) -> list[Tensor]:
    """Scores of one row's shape each: the labels' or the tags' shares, the quantiles; none where rows hang together."""
    shape, name = network.task.output_shape, network.task.name
    if name == "multilabel":
        return [torch.logit(target.mean(0), eps=_RATE)]
    if name == "tagging":
        counts_K = torch.bincount(target[target >= 0].long(), minlength=shape[-1]).float()
        return [(counts_K.clamp(min=_RATE) / counts_K.sum()).log().expand(shape)]
    if name == "quantiles":
        levels = target.new_tensor(getattr(loss, "quantiles", None) or [0.5])
        return [torch.quantile(target[: 1 << 23], levels).expand(shape)]
    return []


def _numbers(target_N: Tensor, network: Network) -> list[Tensor]:
    """(1,) scores each: the mean and the quantiles, or the logarithms of those where the scores are such."""
    numbers_N = target_N.double().cpu().numpy()
    values = np.append(np.quantile(numbers_N, np.linspace(0, 1, _QUANTILES)), numbers_N.mean())
    if network.link is not None:
        values = np.log(np.maximum(values, _RATE))
    return list(torch.tensor(values, dtype=torch.float32, device=target_N.device)[:, None])


def _log_shares(codes_N: Tensor, num_outputs: int, class_weights_K: Tensor | None) -> Tensor:
    """(K,) logarithms of the classes' shares; (1,) the logit of the second where there is one output."""
    counts_K = torch.bincount(codes_N.long(), minlength=max(2, num_outputs)).double()
    counts_K = counts_K if class_weights_K is None else counts_K * class_weights_K
    log_K = (counts_K.clamp(min=1e-6) / counts_K.sum()).log().float()
    return log_K if num_outputs > 1 else (log_K[1] - log_K[0])[None]
