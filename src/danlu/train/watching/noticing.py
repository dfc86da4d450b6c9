"""What is set up around the loop to watch it, and what is noticed when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from danlu.base.errors import DanluError
from danlu.base.files import write_json
from danlu.base.runs import Run
from danlu.design.description import describe
from danlu.prepare.findings import to_json
from danlu.prepare.prepared import Finding
from danlu.recipe.schema import Recipe
from danlu.train.keeping.checkpoints import damage_findings
from danlu.train.stepping.machine import moved_finding
from danlu.train.watching.activations import dead_units
from danlu.train.watching.constant import constant_loss
from danlu.train.watching.diagnose import Facts, diagnose
from danlu.train.watching.live import Live
from danlu.train.watching.observers import Ending, JsonLines, Observer, TensorBoard, stop_finding
from danlu.train.watching.pace import Meter
from danlu.train.watching.peak import peak
from danlu.train.watching.statistics import Statistics

if TYPE_CHECKING:
    from danlu.train.loop import Loop

FINDINGS = "findings.json"


def watching(recipe: Recipe, run: Run, inputs: str, callbacks: Sequence[Observer]) -> list[Observer]:
    """The observers that every run has, those that the recipe asks for, and the user's own.

    Raises:
        DanluError: a callback is no observer.
        MissingExtraError: a tracker's package is not installed.
    """
    folder, section = run.step("train"), recipe.train
    (folder / FINDINGS).unlink(missing_ok=True)
    board = TensorBoard(folder)
    found: list[Observer] = [Live(folder / "live.json"), JsonLines(folder / "history.jsonl"), board]
    if section.statistics:
        found.append(Statistics(folder, section.statistics.every, board))
    if section.track:
        found.append(section.track.build("trackers").observer(folder, run.folder.name, inputs))
    check_callbacks(callbacks)
    return [*found, *callbacks]


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Refuse what is no observer. Raises DanluError."""
    for index, one in enumerate(callbacks):
        if not isinstance(one, Observer):
            what = f"the class {one.__name__}" if isinstance(one, type) else f"a {type(one).__name__}"
            hint = "give an instance" if isinstance(one, type) else "make a subclass of danlu.Observer"
            raise DanluError(f"callbacks[{index}] is {what}, not an observer", hint=hint)


def meter(loop: Loop) -> Meter:
    """What tells rate, time left and the share of this machine's peak; call it within `settled`."""
    plan, engine = loop.plan, loop.engine
    most = peak(engine.precision, engine.threads) if plan.device == "cpu" else None
    flops = describe(loop.network).flops
    return Meter(loop.training.num_rows, loop.monitor.name, flops=flops, peak=most)


@contextmanager
def observed(loop: Loop) -> Iterator[None]:
    """Tell the observers how the block ended, whatever ends it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        loop.observers.ended(Ending(state="interrupted", reason="it was asked to stop"))
        raise
    except Exception as error:
        loop.observers.ended(Ending(state="failed", reason=str(error).splitlines()[0] if str(error) else ""))
        raise
    stop = loop.position.stop
    if stop:
        loop.observers.ended(Ending(state="stopped", reason=f"{stop['by']}: {stop['reason']}"))
    else:
        early = "it no longer got better" if loop.position.stopped else ""
        loop.observers.ended(Ending(state="finished", reason=early))


def notice(loop: Loop) -> None:
    """Write `findings.json`: what the history tells, who stopped the run, which observers failed.

    Args:
        loop: that has ended, its network with the weights that are kept.
    """
    at, section = loop.position, loop.section
    statistics = [one for one in loop.observers.observers if isinstance(one, Statistics)]
    dead, measured = dead_units(loop.network, loop.training)
    constant = None
    if section.sampling == "uniform":
        constant = constant_loss(loop.network, loop.loss, loop.training, loop.class_weights)
    validation = None if constant is None else constant_loss(loop.network, loop.loss, loop.validation, None)
    facts = Facts(
        epochs=loop.plan.epochs,
        stopped=at.stopped,
        best_epoch=at.best_epoch,
        constant=constant,
        constant_validation=validation,
        dead=dead,
        measured=measured,
        updates=statistics[0].updates if statistics else (),
        steps=at.count,
        monitor=loop.monitor.name,
    )
    stopped = [stop_finding(at.stop, at.epoch)] if at.stop else []
    short = loop.budget.findings() if loop.budget else []
    findings = [
        *diagnose(at.history, facts),
        *stopped,
        *loop.findings,
        *_asleep(loop),
        *short,
        *loop.observers.findings,
        *damage_findings(at.damaged),
    ]
    if moved := moved_finding(at.machines):
        findings.append(moved)
    write_json(loop.folder / FINDINGS, to_json(findings))


def _asleep(loop: Loop) -> list[Finding]:
    """That weights were to thaw (`unfreeze`) after the last epoch."""
    epochs = loop.position.epoch
    late = [(parameter.numel(), thaw) for parameter, thaw in loop.asleep if thaw >= epochs]
    if not late:
        return []
    return [
        Finding(
            key="still_frozen",
            severity="warning",
            message=f"{sum(count for count, _ in late):,} weights were never trained: the last of them thaw after "
            f"{max(thaw for _, thaw in late)} epochs, and there were {epochs}",
            remedy="lower the encoder's unfreeze, or raise train.epochs",
            evidence={"weights": sum(count for count, _ in late), "epochs": epochs},
        )
    ]
