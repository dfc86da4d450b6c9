"""How the step size changes over a run: a factor on the optimizer's `lr` for each step.

All but `plateau` are pure functions of the step. `plateau` looks at the validation metric; its memory is part of the
checkpoint.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

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
class Auto:
    """What the network's encoders advise; `cosine` where they advise nothing."""


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
        progress = _progress(step, total, self.warmup)
        return _warm(step, total, self.warmup) * _between(1.0, self.final, progress)


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Constant):
    """Falls along half a cosine again and again, each time from the top.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    Attributes:
        cycles: how many times it falls.
        growth: each cycle is this times as long as the one before.
        final: factor towards which each cycle falls.
    """

    warmup: Share = 0.05
    cycles: Annotated[int, Ge(1), Le(1000)] = 3
    growth: Annotated[float, Ge(1), Le(10)] = 2.0
    final: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Final + (1 − final) · (1 + cos(π · progress within the cycle)) / 2 after warm-up."""
        first = int(total * self.warmup)
        ends = list(itertools.accumulate(self.growth**cycle for cycle in range(self.cycles)))
        at = max(0, step - first) / (total - first) * ends[-1]
        cycle = min(bisect.bisect_right(ends, at + 1e-9), self.cycles - 1)  # a cycle's first step is not the last's end
        start = ends[cycle - 1] if cycle else 0.0
        progress = min(1.0, max(0.0, at - start) / self.growth**cycle)
        return _warm(step, total, self.warmup) * _between(1.0, self.final, progress)


@dataclass(frozen=True, kw_only=True)
class Linear(Constant):
    """Falls along a straight line.

    Attributes:
        final: factor at the last step.
    """

    warmup: Share = 0.05
    final: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """1 + (final − 1) · progress after warm-up."""
        return _warm(step, total, self.warmup) * (1 + (self.final - 1) * _progress(step, total, self.warmup))


@dataclass(frozen=True, kw_only=True)
class Exponential(Constant):
    """Falls by the same factor at every step.

    Attributes:
        final: factor at the last step.
    """

    warmup: Share = 0.05
    final: Annotated[float, Gt(0), Le(1)] = 0.01

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Final ^ progress after warm-up."""
        return _warm(step, total, self.warmup) * math.pow(self.final, _progress(step, total, self.warmup))


@dataclass(frozen=True, kw_only=True)
class Polynomial(Constant):
    """Falls along a power of what is left of the run.

    Attributes:
        power: 1 is a straight line; more falls sooner.
        final: factor at the last step.
    """

    warmup: Share = 0.05
    power: Annotated[float, Gt(0), Le(10)] = 2.0
    final: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """Final + (1 − final) · (1 − progress) ^ power after warm-up."""
        left = 1 - _progress(step, total, self.warmup)
        return _warm(step, total, self.warmup) * (self.final + (1 - self.final) * math.pow(left, self.power))


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Constant):
    """Rises, stays, and falls at the very end.

    Source: Hu et al., "MiniCPM: Unveiling the Potential of Small Language Models", 2024; the shapes: Hägele et al.,
    "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 2024.

    Attributes:
        decay: share of the steps over which it falls.
        shape: how it falls: along a straight line, half a cosine, or 1 − √progress.
        final: factor at the last step.
    """

    warmup: Share = 0.05
    decay: Annotated[float, Gt(0), Le(1)] = 0.2
    shape: Literal["linear", "cosine", "square_root"] = "square_root"
    final: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, step: int, total: int, memory: Mapping[str, Any]) -> float:
        """1 until the fall, final at the last step."""
        last = total - 1
        length = max(1.0, last * self.decay)
        progress = min(1.0, max(0.0, step - (last - length)) / length)
        height = {
            "linear": 1 - progress,
            "cosine": _between(1.0, 0.0, progress),
            "square_root": 1 - math.sqrt(progress),
        }
        return _warm(step, total, self.warmup) * (self.final + (1 - self.final) * height[self.shape])


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
        return _between(1.0, low / self.final_divide, min(1.0, (step - peak) / max(total - 1 - peak, 1e-9)))

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


def _progress(step: int, total: int, warmup: float) -> float:
    """From 0 at the end of warm-up to 1 at the last step, and past it, where trials of steps may go on."""
    first = int(total * warmup)
    return min(1.0, max(0, step - first) / max(1, total - 1 - first))


def _between(start: float, end: float, progress: float) -> float:
    """Half a cosine from start (progress 0) to end (progress 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
