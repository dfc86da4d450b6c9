"""What several answers say together.

Shapes: B batch, M members, K outputs of each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from danlu.tasks.task import Task


class MeanAnswer(nn.Module):
    """(B, M, K) outputs of the members → (B, K) outputs that say the mean of what each of them says.

    Numbers and quantiles are averaged as they are; of classes, labels and tags the probabilities, given back as the
    task reads them: a log-odds for two classes and for each label, log-probabilities for more.

    Args:
        task: how outputs are read.
        num_members: M.
        logs: whether the numbers are logarithms of what is averaged.
    """

    def __init__(self, task: Task, num_members: int, *, logs: bool = False) -> None:
        super().__init__()
        self.kind, self.num_members, self.logs = task.name, num_members, logs

    def forward(self, outputs_BMK: Tensor) -> Tensor:
        """Log of the mean probability: logsumexp over the members − log M; M cancels out of log-odds."""
        if self.logs:
            return torch.logsumexp(outputs_BMK, 1) - math.log(self.num_members)
        if self.kind in ("regression", "quantiles"):
            return outputs_BMK.mean(1)
        if self.kind in ("binary", "multilabel"):
            of_second = -nn.functional.softplus(-outputs_BMK)
            of_first = -nn.functional.softplus(outputs_BMK)
            return torch.logsumexp(of_second, 1) - torch.logsumexp(of_first, 1)
        if self.kind == "tagging":  # log probabilities already, and 0 where there is no token
            there = (outputs_BMK != 0).any(-1, keepdim=True).any(1).to(outputs_BMK.dtype)
            return (torch.logsumexp(outputs_BMK, 1) - math.log(self.num_members)) * there
        log_p_BMK = torch.log_softmax(outputs_BMK, 2)
        return torch.logsumexp(log_p_BMK, 1) - math.log(self.num_members)
