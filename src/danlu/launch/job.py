"""What the workers are given: a folder with the recipe's training, the columns and the start weights, no code in it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danlu.base.errors import DanluError
from danlu.base.files import read_json, write_bytes, write_json
from danlu.base.runs import Run
from danlu.prepare.findings import from_json, to_json
from danlu.prepare.prepared import Finding, Prepared
from danlu.recipe.schema import Recipe

if TYPE_CHECKING:
    from danlu.design.network import Network

FOLDER = "workers"


@dataclass(frozen=True)
class Job:
    """The folder of one launch, `train/workers`.

    Attributes:
        folder: absolute.
    """

    folder: Path

    @property
    def events(self) -> Path:
        """What the first worker reports, a line of JSON each."""
        return self.folder / "events.jsonl"

    @property
    def error(self) -> Path:
        """What ended the training, where something did."""
        return self.folder / "error.json"

    @property
    def logs(self) -> Path:
        """Each worker's output: `START-RANK.log`, the first start being 0."""
        return self.folder / "logs"


def write_job(
    recipe: Recipe, network: Network, prepared: Prepared, run: Run, inputs: str, noticed: Sequence[Finding]
) -> Job:
    """Write what the workers need.

    Raises:
        DanluError: the recipe holds something made in Python, which no file can.
        StorageError: it cannot be written.
    """
    from safetensors.numpy import save as save_arrays
    from safetensors.torch import save as save_weights

    job = Job(run.step(f"train/{FOLDER}").absolute())
    shutil.rmtree(job.logs, ignore_errors=True)
    for path in (job.events, job.error):
        path.unlink(missing_ok=True)
    columns, arrays = prepared.schema.dump()
    write_json(job.folder / "columns.json", columns)
    write_bytes(job.folder / "columns.safetensors", save_arrays(arrays))
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes(job.folder / "start.safetensors", save_weights(weights))
    facts = {
        "recipe": _portable(recipe),
        "run": str(run.folder.absolute()),
        "places": dict(run.places),
        "inputs": inputs,
        "noticed": to_json(noticed),
        "fixed": [name for name, parameter in network.named_parameters() if not parameter.requires_grad],
        "prepared": str(prepared.folder.absolute()),
        "sizes": dict(prepared.sizes),
        "fingerprint": prepared.fingerprint,
        "network": dict(network.description),
    }
    write_json(job.folder / "job.json", facts)
    return job


@dataclass(frozen=True)
class Given:
    """What a job holds: the arguments of `train_together`, but for the workers and for where they report."""

    recipe: Recipe
    network: Network
    prepared: Prepared
    run: Path
    places: Mapping[str, str]
    inputs: str
    noticed: tuple[Finding, ...]


def read_job(job: Job) -> Given:
    """What `write_job` was given."""
    from safetensors.numpy import load_file as load_arrays
    from safetensors.torch import load_file as load_tensors

    from danlu.columns.schema import Schema
    from danlu.design.assemble import assemble
    from danlu.train.weights.flat import load_weights

    facts = read_json(job.folder / "job.json")
    schema = Schema.load(read_json(job.folder / "columns.json"), load_arrays(job.folder / "columns.safetensors"))
    network = assemble(facts["network"], schema)
    load_weights(network, load_tensors(job.folder / "start.safetensors"))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in facts["fixed"])
    prepared = Prepared(
        folder=Path(facts["prepared"]),
        schema=schema,
        findings=(),
        sizes=facts["sizes"],
        fingerprint=facts["fingerprint"],
        profile={},
    )
    recipe, noticed = Recipe.model_validate(facts["recipe"]), from_json(facts["noticed"])
    places = facts["places"]
    return Given(recipe, network, prepared, Path(facts["run"]), places, facts["inputs"], tuple(noticed))


def _portable(recipe: Recipe) -> dict[str, Any]:
    """The sections that training reads; the data are encoded already."""
    whole = recipe.model_dump(mode="json", include={"name", "seed", "train", "evaluate", "launch"})
    whole["data"] = {"source": "encoded.csv", "target": recipe.data.target}
    try:
        again = Recipe.model_validate(whole)
    except DanluError:
        again = None
    if again is None or again.train != recipe.train:
        message = "train holds something made in Python, which cannot be given to other processes"
        raise DanluError(message, hint="set launch.engine to inline")
    return whole
