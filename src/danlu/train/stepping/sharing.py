"""A step in several passes, by one worker or by several: whose rows, divided by what, silenced by which masks.

The mathematics of a step is that of its rows together. A row's loss is divided by the sum of all the step's weights;
dropout's masks are those that one large batch would draw (`design/layers/dropout.py`); batch normalisation, which looks
at a batch, sees its rows of all workers.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.dropout import Dropout, Noise
from danlu.train.rows.batches import Batch, Share
from danlu.train.stepping.workers import Workers


class Sharing:
    """The passes of one worker.

    Args:
        network: its dropouts and batch normalisations are told of each pass.
        workers: that share every step.
        batch_rows: rows of a batch, of all workers together.
        step_rows: rows of a step.
        num_rows: rows of an epoch.
    """

    def __init__(self, network: nn.Module, workers: Workers, batch_rows: int, step_rows: int, num_rows: int) -> None:
        self.workers, self.step_rows, self.num_rows = workers, step_rows, num_rows
        self.share = Share(workers.rank, workers.count, batch_rows)
        self.noise = Noise()
        self.dropouts = [module for module in network.modules() if isinstance(module, Dropout)]
        self.norms = [module for module in network.modules() if isinstance(module, BatchNorm2d)]

    def count(self, batch: Batch) -> int:
        """Rows of the step that a batch is this worker's part of."""
        return min(self.step_rows, self.num_rows - batch.step * self.step_rows)

    def passes(self, batch: Batch, class_weights: Tensor | None) -> Iterator[tuple[Batch, Tensor | int]]:
        """The rows of each pass, and what the sum of their losses is divided by.

        Args:
            batch: this worker's rows of a step.
            class_weights: (K,) float32, or None.
        """
        count = self.count(batch)
        spans = self.share.spans(count)
        divisor = self._divisor(batch, count, spans, class_weights)
        alone = self.workers.count == 1
        self.noise.begin(count, None if alone else torch.from_numpy(self.share.places(count)))
        self._listen(listening=True)
        try:
            start = 0
            for first, last, whole in spans:
                stop = start + last - first
                self.noise.begin_pass(start, stop)
                for norm in self.norms:
                    norm.add = None if whole else self.workers.add
                yield batch.slice(start, stop), divisor * self.workers.count if whole else divisor
                start = stop
        finally:
            self._listen(listening=False)

    def _listen(self, *, listening: bool) -> None:
        """Let dropouts ask for masks, or let them and the norms be as they were."""
        for dropout in self.dropouts:
            dropout.noise = self.noise if listening else None
        for norm in self.norms:
            norm.add = None

    def _divisor(
        self, batch: Batch, count: int, spans: list[tuple[int, int, bool]], class_weights: Tensor | None
    ) -> Tensor | int:
        """The sum of the weights of all the step's rows."""
        if class_weights is None:
            return count
        start, total = 0, class_weights.new_zeros(1)
        for first, last, whole in spans:
            stop = start + last - first
            weight = batch.slice(start, stop).weight(class_weights)
            total += weight / self.workers.count if whole else weight
            start = stop
        self.workers.add(total)
        return total[0]


def needed(network: nn.Module, workers: Workers, accumulate: int) -> bool:
    """Whether a step has more than one pass, of this worker's or of others, and something depends on them all."""
    drops = any(isinstance(module, Dropout) and module.p for module in network.modules())
    return workers.count > 1 or (accumulate > 1 and drops)
