"""Step 3, where the recipe's `launch` says.

The process that a person started prepares, designs and goes on after training. Workers do the training alone: what they
write into the run is what one process would have written, and this process then reads it as a step that is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from danlu.base.errors import DanluError, RecipeError, TrainingError
from danlu.base.runs import Run
from danlu.design.network import Network
from danlu.design.trained import Trained
from danlu.launch.job import FOLDER, Job, write_job
from danlu.launch.replay import replayed
from danlu.launch.told import told_error
from danlu.launch.torchrun import run_workers
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Recipe
from danlu.train import step
from danlu.train.ensemble import train_ensemble
from danlu.train.watching.observers import Observer


def train(
    recipe: Recipe, network: Network, prepared: Prepared, run: Run, callbacks: Sequence[Observer] = ()
) -> Trained:
    """Train a network where the recipe says, or take up what is there; see `danlu.train.step.train`.

    Args:
        recipe: `launch` says where.
        network: with its start weights; it ends with the best epoch's.
        prepared: the encoded splits.
        run: the workers write into its `train/`.
        callbacks: watch a training in this process; others cannot call them.

    Raises:
        RecipeError: an option that does not go with several workers.
        TrainingError: a worker died more often than `launch.max_restarts` allows.
        DanluError: whatever stopped the workers' training; or there are callbacks that they cannot call.
    """
    if recipe.train.ensemble:
        return train_ensemble(recipe, network, prepared, run, partial(train, callbacks=callbacks))
    if recipe.launch.engine == "inline":
        return step.train(recipe, network, prepared, run, callbacks)
    inputs, noticed = step.training_inputs(recipe, network, prepared)
    if run.finished("train", inputs) is None:
        if callbacks:
            raise DanluError(
                f"callbacks watch a training in their own process; launch.engine is {recipe.launch.engine}",
                hint="leave them out, or train with launch.engine inline",
            )
        _launch(recipe, write_job(recipe, network, prepared, run, inputs, noticed), run)
        if run.finished("train", inputs) is None:
            raise TrainingError(
                "the workers ended without a trained network",
                where=str(run.folder / "train" / FOLDER),
                hint="look at their logs there",
            )
    return step.train(recipe, network, prepared, run, callbacks)


def _launch(recipe: Recipe, job: Job, run: Run) -> None:
    """Run the workers to their end. Raises what ended them."""
    with replayed(job.events, run.progress):
        lost = run_workers(recipe.launch, job)
    found = told_error(job.error)
    if isinstance(found, RecipeError):
        faults = [recipe.fault(tuple(one.path.split(".")), one.message, one.hint) for one in found.faults]
        raise RecipeError(faults)
    if found is not None:
        raise found
    if lost is not None:
        raise lost
