"""How the step size changes over a run: a factor on the optimizer's `lr` for each step.

All but `plateau` are pure functions of the step. `plateau` looks at the validation metric; its memory is part of the
checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from annotated_types import Ge, Gt, Le, Lt

Share = Annotated[float, Ge(0), Lt(1)]


class Schedule(Protocol):
    """What the loop needs of a schedule."""

    def start(self) -> dict[str, Any]:
        """Its memory before the first step; JSON-able."""

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Factor on `lr` at a step from 0, of `total`."""

    def observe(self, loss: float, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Its memory after an epoch; `loss` is the monitored metric, turned so that less is better."""


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The same step size throughout.

    Attributes:
        warmup: share of the steps over which it rises from zero.
    """

    warmup: Share = 0.0

    def start(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """1 after warm-up."""
        return _warm(step, total, self.warmup)

    def observe(self, loss: float, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing to remember."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Step(Constant):
    """Falls by a factor at even intervals.

    Attributes:
        every: share of the steps between two falls.
        gamma: factor of each fall.
    """

    every: Annotated[float, Gt(0), Le(1)] = 0.3
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Gamma ^ (number of falls so far)."""
        return _warm(step, total, self.warmup) * self.gamma ** int(step / total / self.every)


@dataclass(frozen=True, kw_only=True)
class Cosine(Constant):
    """Falls along half a cosine.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017 (without restarts).

    Attributes:
        final: factor at the last step.
    """

    warmup: Share = 0.05
    final: Annotated[float, Ge(0), Le(1)] = 0.01

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Final + (1 − final) · (1 + cos(π · progress)) / 2 after warm-up."""
        first = int(total * self.warmup)
        progress = max(0, step - first) / max(1, total - 1 - first)
        return _warm(step, total, self.warmup) * (
            self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2
        )


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """Rises to the full step size, then falls far below where it began, both along half a cosine.

    Source: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    2019.

    Attributes:
        rise: share of the steps in which it rises.
        start_divide: it begins at `lr` divided by this.
        final_divide: it ends at where it began divided by this.
    """

    rise: Annotated[float, Gt(0), Lt(1)] = 0.3
    start_divide: Annotated[float, Ge(1)] = 25.0
    final_divide: Annotated[float, Ge(1)] = 1e4

    def start(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Half a cosine from 1/start_divide to 1, another to 1/(start_divide · final_divide)."""
        low, peak = 1 / self.start_divide, self.rise * total - 1
        if step <= peak:
            return _between(low, 1.0, step / max(peak, 1e-9))
        return _between(1.0, low / self.final_divide, (step - peak) / max(total - 1 - peak, 1e-9))

    def observe(self, loss: float, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing to remember."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Falls by a factor when the monitored metric has stopped getting better.

    Attributes:
        warmup: share of the steps over which it rises from zero.
        gamma: factor of each fall.
        patience: epochs without an improvement before a fall.
        smallest: factor below which it does not fall.
    """

    warmup: Share = 0.0
    gamma: Annotated[float, Gt(0), Lt(1)] = 0.3
    patience: Annotated[int, Ge(1)] = 3
    smallest: Annotated[float, Ge(0), Le(1)] = 1e-3

    def start(self) -> dict[str, Any]:
        """No best yet, no fall yet."""
        return {"best": None, "bad": 0, "factor": 1.0}

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """The product of all falls so far."""
        return _warm(step, total, self.warmup) * float(memory["factor"])

    def observe(self, loss: float, memory: Mapping[str, Any]) -> dict[str, Any]:
        """Count epochs without an improvement; fall after `patience` of them."""
        if memory["best"] is None or loss < memory["best"]:
            return {**memory, "best": loss, "bad": 0}
        if memory["bad"] + 1 < self.patience:
            return {**memory, "bad": memory["bad"] + 1}
        return {**memory, "bad": 0, "factor": max(self.smallest, memory["factor"] * self.gamma)}


def _warm(step: int, total: int, warmup: float) -> float:
    """(step + 1) / steps of warm-up, at most 1."""
    first = int(total * warmup)
    return min(1.0, (step + 1) / first) if first else 1.0


def _between(start: float, end: float, progress: float) -> float:
    """Half a cosine from start (progress 0) to end (progress 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
