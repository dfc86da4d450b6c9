"""What a training is judged by: scores on the validation split, and the one of them that is watched."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from danlu.design.forward import outputs
from danlu.design.network import Network
from danlu.evaluate.score import score
from danlu.prepare.prepared import Split
from danlu.tasks.losses import Loss
from danlu.train.stepping.gradients import target_of

VALIDATION_LOSS = "validation_loss"


@dataclass(frozen=True)
class Monitor:
    """The metric that early stopping and the best checkpoint watch."""

    name: str
    greater_is_better: bool

    def loss(self, value: float) -> float:
        """The value turned so that less is better; one that is not a number is worst (and finite, for JSON)."""
        return sys.float_info.max if math.isnan(value) else -value if self.greater_is_better else value


def validation_scores(
    network: Network, validation: Split, loss: Loss, metrics: Sequence[str]
) -> dict[str, float | None]:
    """Loss and metrics of a network's answers; what cannot be told, or is no finite number, is None.

    Args:
        network: with the weights to score, in fp32.
        validation: the rows.
        loss: what training makes small; class weights do not count here.
        metrics: names.
    """
    task, encoded, link = network.task, validation.target, network.link
    device = next(network.parameters()).device
    with torch.no_grad():
        scores = torch.from_numpy(outputs(network, validation.inputs, scores=True)).to(device)
        target = target_of(network, torch.from_numpy(encoded.copy()).to(device))
        value = loss.value(scores, target, None).item()
        found = (scores if link is None else link(scores)).cpu().numpy()
    values = {VALIDATION_LOSS: value, **score(task, [*metrics], task.truth(encoded), task.answers(found))}
    return {name: one if math.isfinite(one) else None for name, one in values.items()}
