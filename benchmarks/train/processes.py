"""Whole processes: started, bound to a core, timed, with a neighbour or without."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import Case, write
from recipe import recipe_of

# What a machine sets to make libraries choose other code than they would: a benchmark wants their own choice.
_FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Used:
    """What a process took: seconds of the clock and of the processor, what it printed, why it failed or ""."""

    wall_s: float
    cpu_s: float
    output: str
    fault: str


def environment_of() -> dict[str, str]:
    """The environment of a measured process."""
    return {name: value for name, value in os.environ.items() if name not in _FORCED}


def used(command: Sequence[str], *, cores: int, timeout_s: float) -> Used:
    """Run a command to its end, on the last `cores` cores of this process; 0 leaves it all of them."""
    mine = sorted(os.sched_getaffinity(0))

    def bind() -> None:
        os.sched_setaffinity(0, mine[-cores:])

    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env=environment_of(),
        preexec_fn=bind if cores else None,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Used(wall, cpu, done.stdout, (done.stderr or f"exit code {done.returncode}") if done.returncode else "")


@contextlib.contextmanager
def spinning(cores: int) -> Iterator[None]:
    """A process that spins on each of so many cores meanwhile."""
    mine = sorted(os.sched_getaffinity(0))[:cores]
    spinners = []
    try:
        for core in mine:
            spin = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
            spinners.append(subprocess.Popen([sys.executable, "-c", spin]))
        time.sleep(0.3 if spinners else 0)
        yield
    finally:
        for one in spinners:
            one.kill()
            one.wait()


def whole_processes(case: Case, bare: Path, *, rounds: int, epochs: int) -> Iterator[dict[str, Any]]:
    """The same rows and network from the first import to the last file, in turns.

    `danlu run` goes through all six steps; without a report, it is given no baselines, no intervals and no variants to
    try. `danlu train` ends with the trained weights, as the bare loop does.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(case, folder / "rows.npz")
        recipe = recipe_of(case, folder / "rows.npz", epochs=epochs)
        recipe["evaluate"] |= {"baselines": [], "bootstrap": 0}
        (folder / "recipe.yaml").write_text(json.dumps(recipe | {"compress": {"try": []}}))
        danlu = [sys.executable, "-m", "danlu"]
        given = [str(folder / "recipe.yaml"), "--quiet", "--runs"]
        script = [sys.executable, str(bare), "--case", case.name, "--data", str(folder / "rows.npz")]
        for seed in range(rounds + 1):
            commands = {
                "bare": [*script, "--epochs", str(epochs)],
                "danlu train": [*danlu, "train", *given, str(folder / f"train{seed}")],
                "danlu run": [*danlu, "run", *given, str(folder / f"run{seed}")],
            }
            for what, command in commands.items():
                load = os.getloadavg()[0]
                done = used(command, cores=0, timeout_s=600)
                row = {"whole": what, "case": case.name, "process_s": done.wall_s, "process_cpu_s": done.cpu_s}
                row |= {"load": load}
                row |= {"error": done.fault.strip().splitlines()[-1]} if done.fault else {}
                if seed:  # the first is a warm-up: files are read from disk, Python compiles its modules
                    yield row
