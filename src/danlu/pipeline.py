"""The six steps in order. Read this first.

    recipe → prepare → design → train → evaluate → compress → deploy → bundle, with its proof

Each step is a function from frozen value to frozen value. It keeps its results in its own folder of the run with the
fingerprint of all that went in; where nothing has changed it only reads them again. So a run that was killed is started
again with the same command and goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danlu.base.devices import need, wait_passively
from danlu.base.errors import ParityError, RequirementError, TrainingError
from danlu.base.files import code_version, fingerprint, write_json, write_text
from danlu.base.progress import Progress, Quiet
from danlu.base.runs import STEPS, Run, open_run
from danlu.recipe.schema import Recipe

if TYPE_CHECKING:
    from danlu.deploy.step import Deployed
    from danlu.design.network import Network
    from danlu.design.trained import Trained
    from danlu.evaluate.step import Scores
    from danlu.prepare.prepared import Prepared
    from danlu.train.watching.observers import Observer


@dataclass(frozen=True)
class Result:
    """What a run came to; steps that were not asked for are None.

    Attributes:
        run: the run's folder.
        steps: (name, whether it did new work, seconds) of each step, in order.
    """

    run: Run
    steps: tuple[tuple[str, bool, float], ...]
    prepared: Prepared | None = None
    network: Network | None = None
    trained: Trained | None = None
    scores: Scores | None = None
    deployed: Deployed | None = None

    @property
    def new_work(self) -> bool:
        """Whether any step did more than read what was there."""
        return any(did for _, did, _ in self.steps)

    @property
    def bundle(self) -> Path | None:
        """The released bundle's folder."""
        return self.deployed.bundle if self.deployed else None


def run(
    recipe: Recipe,
    *,
    root: Path = Path("runs"),
    progress: Progress | None = None,
    until: str = "deploy",
    callbacks: Sequence[Observer] = (),
) -> Result:
    """Run a recipe's steps up to `until`, doing only what is not done yet.

    Args:
        recipe: what to do.
        root: the folder of all runs; a new recipe, new data or new code gets a new run in it.
        progress: where work reports itself.
        until: the last step to run, one of `STEPS`.
        callbacks: watch the training and may stop it; one that is finished already is not watched again.

    Raises:
        DanluError: a step cannot be done; all before it is kept.
        RequirementError: everything was done, but `require` is not met: no bundle is released.
    """
    from danlu.prepare.sources.remote import fetch_all

    wait_passively()
    fetch_all(recipe.data, progress or Quiet())
    parts = key_parts(recipe)
    return go_on(recipe, open_run(Path(root), str(recipe.name), _key(parts), progress, parts), until, callbacks)


def go_on(recipe: Recipe, run: Run, until: str = "deploy", callbacks: Sequence[Observer] = ()) -> Result:
    """Do what is left of a run that belongs to a recipe; see `run`."""
    with run.locked(), recipe.placing():
        write_start(recipe, run)
        return _steps(recipe, run, until, callbacks)


def _steps(recipe: Recipe, run: Run, until: str, callbacks: Sequence[Observer]) -> Result:
    """The six steps."""
    from danlu.prepare import prepare

    if until != "prepare":
        need("torch", "train")  # told before the data are prepared, not after
    if until not in ("prepare", "design") and recipe.train.track:
        recipe.train.track.build("trackers").need()
    done: list[tuple[str, bool, float]] = []
    values: dict[str, Any] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        with _noting(run, name, done):
            values[name] = work()
        return values[name]

    prepared = step("prepare", lambda: prepare(recipe, run))
    if until == "prepare":
        return Result(run, tuple(done), prepared)
    from danlu.design import design
    from danlu.evaluate.score import check_metrics
    from danlu.tasks.task import task_for

    check_metrics(recipe, task_for(prepared.schema.target))
    network = step("design", lambda: write_design(recipe, design(recipe, prepared.schema), prepared, run))
    if until == "design":
        return Result(run, tuple(done), prepared, network)
    from danlu.launch import train

    trained = step("train", lambda: train(recipe, network, prepared, run, callbacks))
    if until == "train":
        return Result(run, tuple(done), prepared, network, trained)
    from danlu.evaluate import evaluate

    scores = step("evaluate", lambda: evaluate(recipe, trained, prepared, run))
    _track_scores(recipe, scores, run)
    if until == "evaluate":
        return _reported(Result(run, tuple(done), prepared, network, trained, scores))
    from danlu.compress import compress

    variants = step("compress", lambda: compress(recipe, trained, scores, prepared, run))
    if until == "compress":
        return _reported(Result(run, tuple(done), prepared, network, trained, scores))
    from danlu.deploy import deploy

    try:
        deployed = step("deploy", lambda: deploy(recipe, variants, trained, scores, prepared, run))
    except (ParityError, RequirementError) as error:
        _report(run)  # what was refused, and why, is worth reading
        error.where = error.where or str(run.folder / "report.html")
        raise
    return _reported(Result(run, tuple(done), prepared, network, trained, scores, deployed))


def _track_scores(recipe: Recipe, scores: Scores, run: Run) -> None:
    """Tell the tracker the test scores, where the recipe names one; one that does not take them is told of."""
    if recipe.train.track is None:
        return
    try:
        values = {name: one["value"] for name, one in scores.metrics["test"].items()}
        recipe.train.track.build("trackers").log_scores(run.folder / "train", values)
    except TrainingError as error:
        run.progress.say(f"warning: {error.message}")


def _reported(result: Result) -> Result:
    """Write the report where anything in it may have changed."""
    if result.new_work or not (result.run.folder / "report.html").exists():
        _report(result.run)
    return result


def _report(run: Run) -> None:
    from danlu.evaluate.report import parts_from_run, write_report

    write_report(run.folder / "report.html", parts_from_run(run.folder))


@contextmanager
def _noting(run: Run, name: str, done: list[tuple[str, bool, float]]) -> Iterator[None]:
    """Time a step, and see from its record whether it did new work."""
    record = run.folder / name / "step.json"

    def stamp() -> int:
        return record.stat().st_mtime_ns if record.exists() else 0

    before, start = stamp(), time.monotonic()
    yield
    done.append((name, stamp() != before, time.monotonic() - start))


def run_key(recipe: Recipe) -> str:
    """What makes two runs the same."""
    return _key(key_parts(recipe))


def _key(parts: Mapping[str, str]) -> str:
    return fingerprint(dict(parts))


def key_parts(recipe: Recipe) -> dict[str, str]:
    """What a run belongs to: the recipe's meaning, the content of its data, the code, the key of its masks.

    Where it starts from an earlier run, or from pre-trained checkpoints, these too.
    """
    from danlu.design.choose import checkpoint_hashes
    from danlu.prepare.mask import Masking, mask_key
    from danlu.prepare.sources.hashing import content_hash
    from danlu.prepare.start import read_start
    from danlu.recipe.writing import to_mapping, without_places

    meaning = to_mapping(recipe)
    meaning["data"] = without_places(meaning["data"])
    del meaning["launch"]  # where it runs is not what it is: a run goes on with other workers
    content = content_hash(recipe.data, base=recipe.base, masked=Masking(recipe).rows)
    start = read_start(recipe)
    parts = {"recipe": fingerprint(meaning), "data": content, "code": code_version(), "masks": mask_key(recipe)}
    parts |= {"start": start.hash} if start else {}
    checkpoints = checkpoint_hashes(recipe.design)
    return {**parts, "checkpoints": fingerprint(checkpoints)} if checkpoints else parts


def write_start(recipe: Recipe, run: Run) -> None:
    """Write what the run was asked for and where it ran."""
    from danlu.base.environment import environment
    from danlu.recipe.reading import resolved_yaml

    if not (run.folder / "resolved.yaml").exists():
        write_text(run.folder / "resolved.yaml", resolved_yaml(recipe, run.folder))
    if not (run.folder / "environment.json").exists():
        write_json(run.folder / "environment.json", environment())


def write_design(recipe: Recipe, network: Network, prepared: Prepared, run: Run) -> Network:
    """Write the network's description and its layers, unless they stand there already."""
    from danlu.design import describe
    from danlu.design.advice import advice_for
    from danlu.train.plan import make_plan

    section = recipe.train.model_dump(mode="json")
    inputs = fingerprint(network.description, section, prepared.fingerprint, code_version())
    if run.finished("design", inputs) is None:
        start, folder = time.monotonic(), run.step("design")
        plan = make_plan(recipe.train, describe(network), prepared.sizes["train"], advice_for(network.description))
        files = [folder / "network.json", folder / "design.json"]
        write_json(files[0], dict(network.description))
        write_json(files[1], describe(network, plan.batch_size).to_json())
        run.finish("design", inputs, files, {}, seconds=time.monotonic() - start)
    return network


__all__ = ["STEPS", "Result", "run"]
