"""Danlu's training beside the bare eager loop and its peers: same network, rows, Adam, batch and epochs.

    python benchmarks/train/run.py [--cases S1,S4] [--toolkits bare,danlu,lightning] [--rounds 5] [--quick] [--docs]
    python benchmarks/train/run.py --whole-process          # S1 as whole processes, `danlu run` and the bare loop
    python benchmarks/train/run.py --busy                   # S1 beside a process that spins on every core

Every result is of a process of its own, bound to one core. Rounds take all toolkits in turns (A B C A B C …), each
round with a seed of its own; what counts is the median, and its ratio to the bare loop's of the same run. One JSON line
per result goes to `--results`, a table and a plot beside it, and with `--docs` into `docs/benchmarks.md`. Peers need
their environments (`python benchmarks/train/environments.py`); those that have none are left out, with a word.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import CASES, AbsentError, Case, write
from environments import FOLDER, python_of
from outcome import summary, table, to_docs
from peers import TOOLKITS, Toolkit
from processes import Used, spinning, used, whole_processes

SCRIPTS = Path(__file__).parent / "toolkits"
Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        environments: the folder of the peers' environments.
        rounds: turns of each toolkit.
        quick: two epochs, and no accuracy to reach.
        timeout_s: of one process.
    """

    environments: Path
    rounds: int
    quick: bool
    timeout_s: float

    def epochs(self, case: Case) -> int:
        """Passes over a case's rows."""
        return 2 if self.quick else case.epochs


def one(asked: Asked, name: str, case: Case, data: Path, *, seed: int, cores: int = 1, epochs: int = 0) -> Row:
    """One toolkit on one case in a process of its own; `cores` 0 binds it to none and leaves its threads to it."""
    toolkit = TOOLKITS[name]
    python = python_of(asked.environments, toolkit)
    command = [str(python), str(SCRIPTS / toolkit.script), "--case", case.name, "--data", str(data)]
    command += ["--epochs", str(epochs or asked.epochs(case)), "--seed", str(seed), "--threads", str(cores)]
    command += ["--variant", toolkit.variant] if toolkit.variant else []
    row: Row = {"toolkit": name, "case": case.name, "seed": seed, "load": os.getloadavg()[0], "quick": asked.quick}
    try:
        done = used(command, cores=cores, timeout_s=asked.timeout_s)
    except subprocess.TimeoutExpired:
        return row | {"error": f"took more than {asked.timeout_s:g} s"}
    return row | told(done) | {"toolkit": name, "process_s": done.wall_s}


def told(done: Used) -> Row:
    """What a script printed last, or why it did not."""
    if not done.fault and done.output.strip():
        result: Row = json.loads(done.output.splitlines()[-1])
        return result
    lines = (done.fault.strip() or "it printed nothing").splitlines()
    return {"error": next((line for line in reversed(lines) if "Error" in line), lines[-1])[:300]}


def compare(asked: Asked, cases: Sequence[str], toolkits: Sequence[str]) -> Iterator[Row]:
    """Every case, round by round, all toolkits in turns."""
    for case in (CASES[name] for name in cases):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "rows.npz"
            try:
                source = write(case, data)
            except AbsentError as error:
                print(f"{case.name}: {error}", file=sys.stderr)
                continue
            able = [name for name in toolkits if case.network in TOOLKITS[name].networks]
            failed: set[str] = set()
            for seed in range(asked.rounds):
                for name in able:
                    if name not in failed:
                        row = one(asked, name, case, data, seed=seed) | {"rows": source}
                        failed |= {name} if "error" in row else set()
                        yield row


def beside_busy(asked: Asked, toolkits: Sequence[str]) -> Iterator[Row]:
    """S1 quiet and beside a process that spins on every core, in turns; threads are left to each toolkit."""
    case = CASES["S1"]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.npz"
        write(case, data)
        for seed in range(asked.rounds):
            for name in toolkits:
                for busy in (False, True):
                    with spinning(len(os.sched_getaffinity(0)) if busy else 0):
                        row = one(asked, name, case, data, seed=seed, cores=0, epochs=asked.epochs(case))
                    yield row | {"busy": busy}


def there(names: Sequence[str], folder: Path) -> list[str]:
    """Those that can run here; the others are named."""

    def is_there(toolkit: Toolkit) -> bool:
        return python_of(folder, toolkit).exists()

    absent = [name for name in names if not is_there(TOOLKITS[name])]
    if absent:
        print(f"left out, for they have no environment in {folder}: {', '.join(absent)}", file=sys.stderr)
    return [name for name in names if name not in absent]


def names_in(text: str, known: Sequence[str]) -> list[str]:
    """Names between commas. Exits where one is not known."""
    names = text.split(",") if text else list(known)
    wrong = [name for name in names if name not in known]
    if wrong:
        sys.exit(f"{', '.join(wrong)}: not known; there are {', '.join(known)}")
    return names


def results_of(asked: Asked, given: argparse.Namespace) -> Iterator[Row]:
    """The results of whichever measurement is asked for."""
    cases = names_in(given.cases, list(CASES))
    if given.whole_process:
        epochs = asked.epochs(CASES["S1"])
        return whole_processes(CASES["S1"], SCRIPTS / "bare.py", rounds=asked.rounds, epochs=epochs)
    toolkits = there(
        names_in(given.toolkits or ("bare,danlu" if given.busy else ""), list(TOOLKITS)), asked.environments
    )
    return beside_busy(asked, toolkits) if given.busy else compare(asked, cases, toolkits)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--toolkits", default="", help=f"of {', '.join(TOOLKITS)}; by default all that are installed")
    parser.add_argument("--rounds", type=int, default=0, help="by default 5, with --busy 3, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="two epochs, one round: that everything runs")
    parser.add_argument("--environments", type=Path, default=FOLDER, help="the folder of the peers' environments")
    parser.add_argument("--results", type=Path, default=FOLDER / "results.jsonl")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one process")
    parser.add_argument("--whole-process", action="store_true")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--docs", action="store_true", help="write the table and the plot into docs/")
    parser.add_argument("--only-table", action="store_true", help="measure nothing: table and plot of --results")
    given = parser.parse_args()
    asked = Asked(
        given.environments, given.rounds or (1 if given.quick else 3 if given.busy else 5), given.quick, given.timeout
    )
    if given.only_table:
        rows = [json.loads(line) for line in given.results.read_text().splitlines()]
    else:
        given.results.parent.mkdir(parents=True, exist_ok=True)
        rows, start = [], time.monotonic()
        with given.results.open("w") as file:
            for row in results_of(asked, given):
                rows.append(row | {"date": datetime.date.today().isoformat()})
                line = json.dumps(rows[-1])
                print(line, file=file, flush=True)
                print(line, flush=True)
        print(f"{len(rows)} results in {time.monotonic() - start:.0f} s: {given.results}", file=sys.stderr)
    whole = summary(rows)
    print("\n" + table(whole, "en"))
    if given.docs:
        to_docs(whole)


if __name__ == "__main__":
    main()
