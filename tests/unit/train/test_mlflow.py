"""MLflow's tracking against MLflow itself, in a file of SQLite."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401  # a run has imported it long before

import danlu
from danlu.base.errors import RecipeError, TrainingError
from danlu.base.files import read_json
from danlu.recipe.reading import recipe_from
from danlu.train.watching.mlflow import MlFlow, MlFlowRun
from danlu.train.watching.observers import Beginning, Ending, Observers
from tests.small import recipe

for _package in ("mlflow", "sqlalchemy", "alembic"):
    pytest.importorskip(_package, reason="pip install 'danlu[mlflow]'")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own


def rows(epochs: int) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "step": 10 * epoch + 10, "loss": 0.5 / (epoch + 1), "auc": None, "seconds": 2.5 * epoch}
        for epoch in range(epochs)
    ]


def beginning(folder: Path, epochs: int = 0) -> Beginning:
    options = {"lr": 0.01, "optimizer": {"name": "adamw", "betas": [0.9, 0.99]}, **{f"o{i}": i for i in range(150)}}
    sizes = {"epochs": 9, "total_steps": 90, "step_rows": 4, "num_rows": 40, "parameters": 7, "count": 10 * epochs}
    return Beginning(folder=folder, options=options, monitor="auc", history=rows(epochs), **sizes)


def options(folder: Path) -> MlFlow:
    return MlFlow(uri=f"sqlite:///{folder / 'mlflow.db'}", experiment="small")


def start(folder: Path, before: int = 0, inputs: str = "inputs") -> MlFlowRun:
    watching = options(folder).observer(folder, "small-0001", inputs)
    watching.started(beginning(folder, before))
    return watching


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making them takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(tmp_path: Path, empty: Path) -> Any:
    from mlflow import MlflowClient

    shutil.copy(empty, tmp_path / "mlflow.db")
    return MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_parameters_and_epochs_arrive(tmp_path: Path, client: Any) -> None:
    watching = start(tmp_path)
    for epochs in (1, 2, 3):
        watching.epoch_ended(rows(epochs))
    watching.ended(Ending(state="finished"))
    record = read_json(tmp_path / "mlflow.json")
    found = client.get_run(record["run_id"])
    assert (found.info.run_name, found.info.status) == ("small-0001", "FINISHED")
    assert client.get_experiment(found.info.experiment_id).name == "small"
    assert found.data.params["optimizer.betas"] == "[0.9, 0.99]"
    assert len(found.data.params) == 153, "more than one request takes"
    losses = client.get_metric_history(record["run_id"], "loss")
    assert [(one.step, one.value) for one in losses] == [(0, 0.5), (1, 0.25), (2, pytest.approx(1 / 6))]
    seconds = [(one.timestamp - record["started_ms"]) / 1000 for one in losses]
    assert seconds == [0.0, 2.5, 5.0], "the time is the training time"


def test_a_run_that_goes_on_is_the_same_run_there(tmp_path: Path, client: Any) -> None:
    first = start(tmp_path)
    first.epoch_ended(rows(2))
    first.ended(Ending(state="interrupted"))
    before = read_json(tmp_path / "mlflow.json")
    assert client.get_run(before["run_id"]).info.status == "KILLED"
    second = start(tmp_path, before=2)
    second.epoch_ended(rows(3))
    second.ended(Ending(state="finished"))
    assert read_json(tmp_path / "mlflow.json") == before
    assert [one.step for one in client.get_metric_history(before["run_id"], "loss")] == [0, 1, 2], "none twice"
    assert client.get_run(before["run_id"]).info.status == "FINISHED"


def test_other_inputs_are_another_run_there(tmp_path: Path, client: Any) -> None:
    for inputs in ("one", "other"):
        start(tmp_path, inputs=inputs).ended(Ending(state="finished"))
    (number,) = [one.experiment_id for one in client.search_experiments() if one.name == "small"]
    assert len(client.search_runs([number])) == 2


def test_a_run_that_was_deleted_there_is_made_anew(tmp_path: Path, client: Any, empty: Path) -> None:
    start(tmp_path).ended(Ending(state="interrupted"))
    before = read_json(tmp_path / "mlflow.json")
    shutil.copy(empty, tmp_path / "mlflow.db")
    second = start(tmp_path, before=2)
    second.ended(Ending(state="finished"))
    after = read_json(tmp_path / "mlflow.json")
    assert after["run_id"] != before["run_id"]
    assert [one.step for one in client.get_metric_history(after["run_id"], "loss")] == [0, 1]


def test_an_outage_is_told_and_harms_nothing(tmp_path: Path, client: Any) -> None:
    watching = MlFlow(uri="http://127.0.0.1:9").observer(tmp_path, "small-0001", "inputs")
    everyone = Observers([watching])
    start = time.monotonic()
    everyone.started(beginning(tmp_path))
    for epochs in (1, 2):
        assert everyone.epoch_ended(rows(epochs)) is None
    assert time.monotonic() - start < 1, "training does not wait for the server"
    everyone.ended(Ending(state="finished"))
    (found,) = everyone.findings
    assert found.key == "observer_failed:mlflow"
    assert "2 of 2 epochs are not at http://127.0.0.1:9" in found.message
    with pytest.raises(TrainingError, match="MLflow did not take the test scores"):
        options(tmp_path / "missing" / "folder").log_scores(_recorded(tmp_path), {"auc": 0.5})


def _recorded(folder: Path) -> Path:
    (folder / "mlflow.json").write_text('{"run_id": "0"}')
    return folder


def test_test_scores_are_added_once(tmp_path: Path, client: Any) -> None:
    start(tmp_path).ended(Ending(state="finished"))
    for _ in range(2):
        options(tmp_path).log_scores(tmp_path, {"accuracy": 0.9, "auc": None, "loss": math.pi})
    run = read_json(tmp_path / "mlflow.json")["run_id"]
    assert client.get_run(run).data.metrics == {"test_accuracy": 0.9, "test_loss": math.pi}
    assert len(client.get_metric_history(run, "test_accuracy")) == 1


def test_a_password_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train\.track\.uri holds a password"):
        recipe(train={"track": {"name": "mlflow", "uri": "https://me:secret@tracking.example"}})


def test_a_whole_run_is_tracked(tmp_path: Path, client: Any) -> None:
    options = {"name": "mlflow", "experiment": "flowers", "uri": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    sections = {"train": {"epochs": 2, "track": options}, "evaluate": {"bootstrap": 20, "baselines": ["majority"]}}
    asked = recipe_from({"data": "sample:iris", "target": "species", **sections})
    result = danlu.run(asked, root=tmp_path / "runs", until="evaluate")
    assert result.scores
    found = client.get_run(read_json(result.run.folder / "train/mlflow.json")["run_id"])
    assert (found.info.run_name, found.info.status) == ("iris-0001", "FINISHED")
    assert found.data.params["optimizer.name"] == "adamw"
    assert found.data.params["plan.epochs"] == "2"
    assert found.data.metrics["test_accuracy"] == pytest.approx(result.scores.metrics["test"]["accuracy"]["value"])
    assert [one.step for one in client.get_metric_history(found.info.run_id, "validation_loss")] == [0, 1]
    danlu.run(asked, root=tmp_path / "runs", until="evaluate")
    assert len(client.get_metric_history(found.info.run_id, "test_accuracy")) == 1


def test_what_was_missed_in_an_outage_is_sent_later(tmp_path: Path, empty: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "mlflow.db").write_text("not yet a database" * 9)
    watching = options(tmp_path).observer(tmp_path, "small-0001", "inputs")
    watching.started(beginning(tmp_path))
    watching.epoch_ended(rows(1))
    _until(lambda: watching.fault is not None)
    shutil.copy(empty, tmp_path / "mlflow.db")
    watching.epoch_ended(rows(2))
    watching.ended(Ending(state="finished"))
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = read_json(tmp_path / "mlflow.json")["run_id"]
    assert [one.step for one in client.get_metric_history(run, "loss")] == [0, 1]


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
