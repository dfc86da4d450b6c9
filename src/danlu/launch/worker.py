"""One of the processes that train together: `python -m danlu.launch.worker FOLDER PARENT`, started by the agent.

How it ends tells the agent what to do. 0: it is done, or it has told of an error that would only come again. Anything
else: it, or one it works with, was lost, and all are started again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from danlu.launch.job import Job, read_job

_LOST = 1
_EVERY_S = 0.2


def main(arguments: list[str]) -> int:
    """Train the job in the folder; gives the exit code."""
    job, parent = Job(Path(arguments[0])), int(arguments[1])
    _write_to(job.logs / f"{os.environ['TORCHELASTIC_RESTART_COUNT']}-{os.environ['RANK']}.log")
    threading.Thread(target=_end_with, args=(parent,), name="danlu-parent", daemon=True).start()
    if job.error.exists():
        return 0
    from danlu.launch.told import tell_error

    try:
        return _train(job)
    except (KeyboardInterrupt, SystemExit):
        return _LOST  # the agent sent the signal, and starts nobody again
    except Exception as error:  # one of the edges where every exception is caught
        from danlu.launch.processes import LostError

        if isinstance(error, LostError):
            print(f"worker: {error}", file=sys.stderr)
            return _LOST
        tell_error(job.error, error)
        return 0


def _train(job: Job) -> int:
    from danlu.base.progress import Quiet
    from danlu.base.runs import Run
    from danlu.launch.processes import joined
    from danlu.launch.replay import Reported
    from danlu.train.step import train_together

    given = read_job(job)
    with joined(given.recipe) as workers:
        progress = Reported(job.events) if workers.rank == 0 else Quiet()
        restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
        if restarts:
            progress.say(
                f"warning: a worker died; all were started again ({restarts} of {given.recipe.launch.max_restarts})"
            )
        run = Run(given.run, progress, given.places)
        train_together(given.recipe, given.network, given.prepared, run, given.inputs, workers, given.noticed)
    return 0


def _write_to(path: Path) -> None:
    """Let all that this process and its libraries print go into a file."""
    with open(path, "ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: nobody would stop it then."""
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
    os._exit(_LOST)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # threads of the backend may wait for others that are gone
