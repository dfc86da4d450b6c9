"""How far training is and how fast: what the progress line and `danlu watch` show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from danlu.train.plan import Plan
from danlu.train.watching.observers import Pace
from danlu.train.watching.peak import share_of_peak

_WINDOW_S = 5.0
_LEAST_SHARE = 0.001


class Meter:
    """The rate of late, and what follows from it.

    Args:
        num_rows: of an epoch.
        metric: the watched metric's name.
        flops: forward operations of a row.
        peak: operations a second of this machine; None where that is not known.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        num_rows: int,
        metric: str,
        *,
        flops: int = 0,
        peak: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.num_rows, self.metric, self.flops, self.peak, self.clock = num_rows, metric, flops, peak, clock
        self.seen: deque[tuple[float, int]] = deque()

    def read(self, plan: Plan, epoch: int, step: int, loss: float, value: float | None) -> Pace:
        """How far it is now. The first call only notes the time: the first steps are slower than all others.

        Args:
            plan: as it is now; a budget may shorten it on the way.
            epoch: under way, from 0.
            step: steps of it that are done.
            loss: mean over its rows so far.
            value: the watched metric after the last epoch.
        """
        now, rows = self.clock(), self._rows(plan, epoch, step)
        self.seen = self.seen or deque([(now, rows)])
        while len(self.seen) > 1 and now - self.seen[1][0] > _WINDOW_S:
            self.seen.popleft()
        then, before = self.seen[0]
        rate = (rows - before) / (now - then) if now > then and rows > before else None
        if now - self.seen[-1][0] > _WINDOW_S / 50:
            self.seen.append((now, rows))
        count = epoch * plan.steps_per_epoch + step
        # In steps: the last epoch of a shortened plan may be a part of one.
        left = (plan.total_steps - count) / plan.steps_per_epoch * self.num_rows
        return Pace(
            epoch=epoch,
            epochs=plan.epochs,
            count=count,
            total_steps=plan.total_steps,
            loss=loss,
            metric=self.metric,
            value=value,
            rows_per_second=rate,
            seconds_left=max(0.0, left) / rate if rate else None,
            share=share_of_peak(self.flops, rate, self.peak) if rate and self.flops and self.peak else None,
        )

    def _rows(self, plan: Plan, epoch: int, step: int) -> int:
        return epoch * self.num_rows + min(step * plan.step_rows, self.num_rows)


def note(pace: Pace) -> str:
    """A pace as the progress line tells it; what matters most comes first."""
    parts = [f"epoch {pace.epoch + 1}/{pace.epochs}", f"loss {_figure(pace.loss)}"]
    parts += [f"{pace.metric} {_figure(pace.value)}"] if pace.value is not None else []
    parts += [f"{pace.rows_per_second:,.0f} rows/s"] if pace.rows_per_second else []
    parts += [f"{share_text(pace.share)} of peak"] if pace.share and pace.share >= _LEAST_SHARE else []
    return " · ".join(parts)


def _figure(value: float) -> str:
    """Four digits behind the point, so that it does not jump; four digits in all where it is large."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.4g}"


def share_text(share: float) -> str:
    """A share in percent; small ones with a digit more."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
