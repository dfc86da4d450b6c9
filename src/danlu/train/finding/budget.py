"""A training that ends inside a given time with its schedule finished (`train.budget`).

Steps are timed before the first one, on a copy of everything; then the number of steps is set and written down, so that
a run that goes on, or is repeated with the same record, takes the same steps. Where the machine turns out slower, the
number is set once more, and written down again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danlu.base.files import read_json, write_json
from danlu.base.progress import duration
from danlu.prepare.prepared import Finding
from danlu.train.finding.trial import trial, try_step

if TYPE_CHECKING:
    from danlu.train.loop import Loop
    from danlu.train.plan import Plan

FILE = "budget.json"
_AIM = 0.85  # share of the budget that is planned for
_LATE = 0.97  # share past which the end may not be expected
_WARM = 3  # steps that are not timed: the first ones wait for files, kernels and memory
_LEAST_STEPS, _MOST_STEPS = 5, 200
_TIMING = 0.02  # share of the budget that timing may take, past the least steps
_CHECKS = 25  # times over the run that its end is foretold anew
_WHOLE = 4  # epochs from which on only whole ones are planned


@dataclass(frozen=True)
class Limit:
    """How many steps a run may have.

    Attributes:
        after: steps that had been taken when it was set.
        steps: in all.
        elapsed_s: of the budget when it was set.
    """

    after: int
    steps: int
    elapsed_s: float


@dataclass
class Budget:
    """The time a training may take, and the steps that fit into it.

    Attributes:
        seconds: that training may take, in all its starts.
        file: where limits are written down.
        inputs: fingerprint of the step; limits of other inputs are not taken up.
        clock: seconds, monotonic.
    """

    seconds: float
    file: Path
    inputs: str
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.created = self.clock()
        self.limits: list[Limit] = []
        self.times = {"before_s": 0.0, "step_s": 0.0, "validation_s": 0.0}

    def begin(self, loop: Loop) -> None:
        """Take up the limits that were set, or time some steps and set the first; gives the loop its plan.

        Args:
            loop: that has started. What it spent since this budget was made counts.
        """
        if not self._load():
            self.times |= _timed(loop, self.clock, self.seconds)
            self.times["before_s"] = self.clock() - self.created
            self._set(Limit(0, self._first(loop.plan), round(self.times["before_s"], 3)))
        self.started, self.first = self.clock(), loop.position.count
        self.spent = self.times["before_s"] + loop.position.seconds
        loop.plan = self.limited(loop.plan, self.first)

    def limited(self, plan: Plan, count: int) -> Plan:
        """The plan as it stands after so many steps."""
        limit = [one for one in self.limits if one.after <= count][-1]
        if plan.limit == limit.steps:
            return plan
        return replace(plan, limit=limit.steps, epochs=-(-limit.steps // plan.steps_per_epoch))

    def check(self, plan: Plan, count: int) -> Plan:
        """After a step: the plan, with fewer steps where it would end too late.

        Args:
            plan: as it stands.
            count: steps taken so far.
        """
        elapsed = self.spent + self.clock() - self.started
        due = elapsed > _LATE * self.seconds or count % max(1, plan.total_steps // _CHECKS) == 0
        if due and self.limits[-1].after < count < plan.total_steps:
            pace, closing = self._pace(plan, count, elapsed)
            if elapsed + (plan.total_steps - count) * pace + closing > _LATE * self.seconds:
                left = (_LATE + _AIM) / 2 * self.seconds - elapsed - closing
                steps = count + max(0, int(left / pace)) if pace else count
                if steps < plan.total_steps:
                    self._set(Limit(count, steps, round(elapsed, 3)))
        return self.limited(plan, count)

    def _pace(self, plan: Plan, count: int, elapsed: float) -> tuple[float, float]:
        """Seconds of a step with its share of the validations, and of the last validation."""
        taken, since = count - self.first, elapsed - self.spent
        validations = count // plan.steps_per_epoch - self.first // plan.steps_per_epoch
        share = self.times["validation_s"] / plan.steps_per_epoch
        return max(0.0, since - validations * self.times["validation_s"]) / taken + share, self.times["validation_s"]

    def _first(self, plan: Plan) -> int:
        """The steps that fit, as timed; the plan's own where they are fewer."""
        left = _AIM * self.seconds - self.times["before_s"] - self.times["validation_s"]
        step = self.times["step_s"] + self.times["validation_s"] / plan.steps_per_epoch
        steps = min(plan.total_steps, int(left / step) if step else plan.total_steps)
        if steps >= _WHOLE * plan.steps_per_epoch:
            steps -= steps % plan.steps_per_epoch
        return max(1, steps)

    def _load(self) -> bool:
        if not self.file.is_file():
            return False
        record: dict[str, Any] = read_json(self.file)
        if record["inputs"] != self.inputs:
            return False
        self.limits = [Limit(**one) for one in record["limits"]]
        self.times = record["times"]
        return True

    def _set(self, limit: Limit) -> None:
        self.limits.append(limit)
        found = {"inputs": self.inputs, "seconds": self.seconds, "times": self.times}
        write_json(self.file, {**found, "limits": [asdict(one) for one in self.limits]})

    def findings(self) -> list[Finding]:
        """That the number of steps was set anew, and that there was no time to finish the schedule."""
        if len(self.limits) < 2:
            return []
        first, last = self.limits[0], self.limits[-1]
        cut = last.steps == last.after
        end = "training was cut off there, its schedule not finished" if cut else f"only {last.steps} steps were taken"
        return [
            Finding(
                key="budget_short",
                severity="warning",
                message=f"training was slower than timed at first: after step {last.after} {duration(last.elapsed_s)} "
                f"of the {duration(self.seconds)} were spent, and {end} instead of {first.steps}",
                remedy="raise train.budget, or leave the machine to it",
                evidence={"limits": [asdict(one) for one in self.limits]},
            )
        ]


def _timed(loop: Loop, clock: Callable[[], float], seconds: float) -> dict[str, float]:
    """Seconds of a step and of a validation; the loop is left as it was."""
    with trial(loop) as batches:
        for _ in range(_WARM):
            try_step(loop, next(batches), loop.lr())
        begun, count = clock(), 0
        while True:
            try_step(loop, next(batches), loop.lr())
            count, now = count + 1, clock()
            if count >= _MOST_STEPS or (count >= _LEAST_STEPS and now - begun > _TIMING * seconds):
                break
        with loop.flat.full():
            loop.validate()
        return {"step_s": (now - begun) / count, "validation_s": clock() - now}
