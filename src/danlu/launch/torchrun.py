"""Workers under torch's elastic agent, which starts them all again when one of them dies."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danlu.base.errors import TrainingError
from danlu.launch.job import Job
from danlu.recipe.schema import Launch

_STOP_S = 300  # that workers may take to finish their step and save before they are killed
_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def num_workers(launch: Launch) -> int:
    """How many workers a recipe asks for: for `auto`, one for each GPU, or else for each core."""
    if launch.engine == "inline":
        return 1
    if launch.workers != "auto":
        return launch.workers
    import torch

    return int(torch.cuda.device_count()) or len(os.sched_getaffinity(0))


def run_workers(launch: Launch, job: Job) -> TrainingError | None:
    """Start the workers and wait until all have ended.

    Args:
        launch: the recipe's section.
        job: what they are given.

    Returns:
        That a worker died once too often; None where all ended by themselves, with or without an error of their own.

    Raises:
        KeyboardInterrupt: Ctrl-C; the workers have saved their state.
        SystemExit: SIGTERM or the like; the workers have saved their state.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    job.logs.mkdir(parents=True, exist_ok=True)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_workers(launch),
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",  # any port that is free
        local_addr="127.0.0.1",
        max_restarts=launch.max_restarts,
        logs_specs=DefaultLogsSpecs(log_dir=str(job.logs)),  # the workers' output: `worker.py`
        shutdown_timeout=_STOP_S,
    )
    command = ("-P", "-m", "danlu.launch.worker", str(job.folder), str(os.getpid()))
    with _as_before():
        try:
            elastic_launch(config, sys.executable)(*command)
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + error.sigval) from None
        except ChildFailedError as error:
            killed = [(rank, one) for rank, one in error.failures.items() if one.exitcode < 0]
            rank, failure = killed[0] if killed else error.get_first_failure()  # the others lost a killed one
            how = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
            times = f", and did so again after each of {launch.max_restarts} restarts" if launch.max_restarts else ""
            return TrainingError(
                f"worker {rank} ended with {how}{times}",
                where=_last_log(job.logs, rank),
                hint="what is saved stands: the same command goes on from there",
            )
    return None


def _last_log(logs: Path, rank: int) -> str:
    found = sorted(logs.glob(f"*-{rank}.log"), key=lambda path: path.stat().st_mtime)
    return str(found[-1] if found else logs)


@contextmanager
def _as_before() -> Iterator[None]:
    """The agent's signal handlers and its log lines end with the block."""
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _HEARD} if in_main else {}
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]
    levels = {name: logging.getLogger(name).level for name in names}  # some of them have one of their own
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what it would say is told by our own errors
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
