"""MLflow's tracking: the same run there, however often it is taken up here."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from danlu.base.devices import need
from danlu.base.errors import DanluError, TrainingError
from danlu.base.files import read_json, write_json
from danlu.recipe.addresses import holds_password
from danlu.recipe.components import wrong
from danlu.train.watching.observers import Beginning, Ending, History, Observer

_MOST_PARAMS = 100  # of one request
_LONGEST = 500  # letters of a parameter's value
_WAIT_S = 15.0  # at the end, for what is still under way
_ENDS = {"finished": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
# A server that is away must be known to be so while training goes on; MLflow calls home and prints, unless told not to.
_POLITE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def _address(value: Any) -> Any:
    if isinstance(value, str) and holds_password(value):
        raise wrong(
            "holds a password, which the run would hold",
            "remove it; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_URI",
        )
    return value


@dataclass(frozen=True, kw_only=True)
class MlFlow:
    """Parameters, every epoch's loss and metrics, and the test scores, in MLflow.

    Attributes:
        uri: a server, or `sqlite:///FILE`; by default what MLFLOW_TRACKING_URI says, else `sqlite:///mlflow.db` in the
            current folder.
        experiment: made where it is not there.
    """

    uri: Annotated[str | None, BeforeValidator(_address)] = None
    experiment: str = "danlu"

    def need(self) -> None:
        """Raise MissingExtraError where its packages are not installed; nothing is imported yet."""
        for package in ("mlflow", "sqlalchemy"):
            if importlib.util.find_spec(package) is None:
                need(package, "mlflow")

    def observer(self, folder: Path, name: str, inputs: str) -> MlFlowRun:
        """What watches a run. Raises MissingExtraError.

        Args:
            folder: the run's `train/`.
            name: what the run is called there.
            inputs: fingerprint of the step: other inputs make another run there.
        """
        self.need()
        return MlFlowRun(self, folder / "mlflow.json", name, inputs)

    def log_scores(self, folder: Path, scores: Mapping[str, float | None]) -> None:
        """Add the test scores, `test_NAME` each, to the run that `observer` made. Raises TrainingError."""
        record = _record(folder / "mlflow.json")
        found = {f"test_{name}": value for name, value in scores.items() if value is not None}
        if not record or record.get("scores") == found:
            return
        try:
            with _quiet():
                client = _client(self)
                for key, value in found.items():
                    client.log_metric(record["run_id"], key, value)
        except Exception as error:  # whatever a client, a server or a database may raise
            raise TrainingError(f"MLflow did not take the test scores: {_said(error)}") from error
        write_json(folder / "mlflow.json", {**record, "scores": found})


class MlFlowRun(Observer):
    """Sends what it is told from a thread of its own: a slow server does not slow the training.

    An epoch that could not be sent is sent with the next one. What is still missing at the end is a fault.
    """

    name = "mlflow"

    def __init__(self, options: MlFlow, path: Path, name: str, inputs: str) -> None:
        self.options, self.path, self.run_name, self.inputs = options, path, name, inputs
        self.news = threading.Condition()
        self.history: History = ()
        self.ending: Ending | None = None
        self.fresh = False
        self.sent = -1
        self.fault: Exception | None = None
        self.client: Any = None
        self.record: dict[str, Any] = {}

    def started(self, beginning: Beginning) -> None:
        """Open the run there, or take it up."""
        self.beginning, self.history = beginning, list(beginning.history)
        self.thread = threading.Thread(target=self._work, name="danlu-mlflow", daemon=True)
        self._tell(beginning.history)
        self.thread.start()

    def epoch_ended(self, history: History) -> None:
        """Send the epoch."""
        self._tell(history)

    def ended(self, ending: Ending) -> None:
        """Send what is left and close the run there. Raises TrainingError where something could not be sent."""
        self._tell(self.history, ending)
        self.thread.join(_WAIT_S)
        where = self.options.uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
        if self.thread.is_alive():
            raise TrainingError(f"{where} has not answered for {_WAIT_S:.0f} s")
        if self.fault:
            missing = sum(row["epoch"] > self.sent for row in self.history)
            raise TrainingError(f"{missing} of {len(self.history)} epochs are not at {where}: {_said(self.fault)}")

    def _tell(self, history: History, ending: Ending | None = None) -> None:
        with self.news:
            self.history, self.ending, self.fresh = list(history), ending, True
            self.news.notify()

    def _work(self) -> None:
        """The thread: whatever is newest, until the end."""
        while True:
            with self.news:
                self.news.wait_for(lambda: self.fresh)
                history, ending, self.fresh = self.history, self.ending, False
            try:
                with _quiet():
                    self._send(history, ending)
                self.fault = None
            except Exception as error:  # whatever a client, a server or a database may raise
                self.fault = error
            if ending:
                return

    def _send(self, history: History, ending: Ending | None) -> None:
        from mlflow.entities import Metric

        if self.client is None:
            client = _client(self.options)
            self._open(client)
            self.client = client
        for row in history:
            if row["epoch"] <= self.sent:
                continue
            # The time is the training time, so that a run that was taken up draws one curve.
            moment = self.record["started_ms"] + round(1000 * row["seconds"])
            values = {key: value for key, value in row.items() if isinstance(value, (int, float)) and key != "epoch"}
            metrics = [Metric(key, float(value), moment, row["epoch"]) for key, value in values.items()]
            self.client.log_batch(self.record["run_id"], metrics=metrics)
            self.sent = row["epoch"]
        if ending:
            self.client.set_terminated(self.record["run_id"], _ENDS[ending.state])

    def _open(self, client: Any) -> None:
        """Make the run there, or take up that of `mlflow.json`, where it is still there."""
        from mlflow.exceptions import MlflowException

        record = _record(self.path)
        if record.get("inputs") == self.inputs:
            try:
                client.update_run(record["run_id"], status="RUNNING")
                known = client.get_metric_history(record["run_id"], "loss")
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
            else:
                self.record, self.sent = record, max((one.step for one in known), default=-1)
                return
        experiment = client.get_experiment_by_name(self.options.experiment)
        number = experiment.experiment_id if experiment else client.create_experiment(self.options.experiment)
        made = client.create_run(number, run_name=self.run_name)
        self.record = {"run_id": made.info.run_id, "experiment_id": number, "started_ms": made.info.start_time}
        self.record["inputs"] = self.inputs
        write_json(self.path, self.record)
        self._log_params(client)

    def _log_params(self, client: Any) -> None:
        from mlflow.entities import Param

        pairs = iter(_flat(self.beginning.options))
        while part := list(islice(pairs, _MOST_PARAMS)):
            params = [Param(key, value[:_LONGEST]) for key, value in part]
            client.log_batch(self.record["run_id"], params=params)


def _client(options: MlFlow) -> Any:
    for name, value in _POLITE.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=options.uri)


def _record(path: Path) -> dict[str, Any]:
    """What `mlflow.json` holds; nothing where there is none."""
    try:
        found = read_json(path)
    except DanluError:
        return {}
    return found if isinstance(found, dict) else {}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested options as (name with dots, text)."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def _said(error: Exception) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes of MLflow and its database on standard error."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
