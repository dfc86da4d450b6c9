"""Kills trainings of every family at random moments, starts them again until they are done, compares the weights.

    python -m tests.recipes.kill_harness --kills 200 --seed 1

A process that has imported everything forks one child for each start: a start costs hundredths of a second. Between two
starts it may also flip a bit of the newest checkpoint. Rhythm and number of the checkpoints are drawn anew each time:
they are no part of what a training is. Prints one JSON object; the exit code is 1 where any weights differ.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danlu.base.files import read_json
from danlu.base.runs import Run
from danlu.prepare.prepared import Prepared
from tests.small import prepared, recipe

TABLE = ("x", "city", "member")
PLAIN = {"engine": "plain"}
CNN = {"photo": {"name": "cnn"}}


@dataclass(frozen=True)
class Family:
    """One kind of training.

    Attributes:
        train: the recipe's section.
        inputs: columns of `tests.small`.
        target: likewise.
        encoders: the recipe's.
    """

    train: dict[str, Any]
    inputs: tuple[str, ...] = TABLE
    target: str = "sold"
    encoders: dict[str, Any] = field(default_factory=dict)


FAMILIES = {
    "dense": Family({"epochs": 30}),
    "dense, bf16": Family({"epochs": 15, "engine": {"precision": "bf16"}}),
    "autograd, dropout": Family({"epochs": 15, **PLAIN}, encoders={"*": {"name": "mlp", "dropout": 0.3}}),
    "pictures, bf16": Family({"epochs": 6, "engine": {"precision": "bf16"}}, ("x", "photo"), encoders=CNN),
    "pictures, swa": Family(
        {"epochs": 6, "average": {"name": "swa", "start": 0.3}, "schedule": "constant"}, ("photo",), "grade", CNN
    ),
    "pictures, augmented": Family(
        {"epochs": 8, "augment": ["crop", "rand_augment", {"name": "mixup", "alpha": 0.8}]},
        ("x", "photo"),
        "grade",
        {"photo": {"name": "resnet", "channels": 8}},
    ),
    "lstm": Family(
        {"epochs": 8}, ("load",), "size", {"load": {"name": "lstm", "width": 16, "num_layers": 2, "dropout": 0.2}}
    ),
    "transformer": Family(
        {"epochs": 6}, ("words",), "sold", {"words": {"name": "transformer", "width": 16, "num_layers": 2}}
    ),
    "sgd, plateau": Family(
        {"epochs": 20, "optimizer": {"name": "sgd", "nesterov": True}, "schedule": {"name": "plateau", "patience": 1}}
    ),
    "muon, all decayed": Family({"epochs": 10, "optimizer": "muon", "decay": "all", "l1": 1e-4}),
    "rmsprop, one cycle": Family(
        {"epochs": 20, "optimizer": {"name": "rmsprop", "momentum": 0.5}, "schedule": "one_cycle", "clip_value": 0.1}
    ),
    "adagrad, class weights": Family(
        {"epochs": 20, "optimizer": "adagrad", "class_weights": "balanced", "loss": "focal"}, TABLE, "grade"
    ),
    "ema, balanced": Family({"epochs": 20, "average": {"name": "ema", "decay": 0.9}, "sampling": "balanced"}),
    "accumulate, clip": Family({"epochs": 20, "accumulate": 3, "batch_size": 5, "clip_norm": 0.5}, TABLE, "size"),
    "early stop, restarts": Family(
        {"epochs": 40, "early_stop": {"patience": 20}, "schedule": {"name": "cosine_restarts"}, **PLAIN}
    ),
    "blocks": Family({"epochs": 20, "shuffle": {"name": "blocks", "block_mb": 1e-4, "window_mb": 4e-4}}),
}


@dataclass
class Figures:
    """What came of one family's kills.

    Attributes:
        kills: of processes that were training.
        asked: starts that were ended by SIGTERM or Ctrl-C instead.
        damaged: bits flipped in a newest checkpoint.
        trainings: that came to their end.
        wrong: those of them whose weights differ from the unbroken one's.
        seconds: of an unbroken training.
    """

    kills: int = 0
    asked: int = 0
    damaged: int = 0
    trainings: int = 0
    wrong: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Case:
    """A family with its data, and where its runs lie."""

    name: str
    family: Family
    data: Prepared
    folder: Path

    def train(self, folder: Path, checkpoints: dict[str, Any]) -> str:
        """Train, or go on; the hash of the weights."""
        from danlu.design import design
        from danlu.train import train

        section = {"batch_size": 8, "early_stop": None, "checkpoints": checkpoints, **self.family.train}
        asked = recipe(train=section, design={"encoders": self.family.encoders})
        run = Run(folder)
        with run.locked():
            return train(asked, design(asked, self.data.schema), self.data, run).weights_hash

    def child(self, folder: Path, checkpoints: dict[str, Any]) -> int:
        """Fork a process that trains; gives its number. It ends with 0, with 1 after an error, or as a signal says."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.train(folder, checkpoints)
            code = 0
        except KeyboardInterrupt:
            code = 130
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:
            (folder / "error.txt").write_text(traceback.format_exc())
        finally:
            os._exit(code)


def weights_of(folder: Path) -> str:
    """The hash that a finished training recorded."""
    found: str = read_json(folder / "train/step.json")["result"]["weights_hash"]
    return found


def imported(case: Case) -> None:
    """Import all that a training imports, without training in this process: a fork keeps no threads."""
    reading, writing = os.pipe()
    if not os.fork():
        os.close(reading)
        case.train(case.folder / "first", {})
        os.write(writing, "\n".join(sys.modules).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        names = pipe.read().split("\n")
    os.wait()
    for name in names:
        if name.split(".")[0] in ("danlu", "torch", "numpy", "tensorboard", "safetensors", "google"):
            try:
                importlib.import_module(name)
            except ImportError:
                continue


def unbroken(case: Case) -> tuple[str, float]:
    """The weights of a training that nobody disturbs, and its seconds."""
    folder, began = case.folder / "unbroken", time.monotonic()
    _, status = os.waitpid(case.child(folder, {"every_s": 0.05}), 0)
    assert status == 0, (folder / "error.txt").read_text()
    return weights_of(folder), time.monotonic() - began


def wait_for(pid: int, there: Callable[[], bool], seconds: float) -> None:
    """Until something is there, the process has ended or the time is up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not there():
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.0002)


def half_written(folder: Path) -> bool:
    """Whether a checkpoint is being written."""
    try:
        return any(".partial" in entry.name for entry in os.scandir(folder / "train/checkpoints"))
    except FileNotFoundError:
        return False


def disturb(case: Case, folder: Path, seconds: float, chance: random.Random, figures: Figures) -> bool:
    """Start or go on, and end it at some moment; whether it came to its end before that."""
    checkpoints = {"every_s": chance.choice([0, 0.001, 0.01]), "keep_last": chance.choice([1, 2, 3])}
    pid = case.child(folder, checkpoints)
    if chance.random() < 0.4:
        wait_for(pid, lambda: half_written(folder), seconds)
        time.sleep(chance.choice([0, 0, chance.uniform(0, 0.003)]))
    else:
        wait_for(pid, lambda: False, chance.uniform(0, seconds))
    number = chance.choice([signal.SIGKILL] * 8 + [signal.SIGTERM, signal.SIGINT])
    os.kill(pid, number)  # it is still ours to wait for, ended or not
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):  # SIGTERM too, where training has not begun or has ended
        figures.kills += 1
        return False
    code = os.WEXITSTATUS(status)
    assert code in (0, 130, 143), f"{case.name}: {(folder / 'error.txt').read_text()}"
    figures.asked += code != 0
    return code == 0


def damage(folder: Path, chance: random.Random, figures: Figures) -> None:
    """Flip a bit of the newest state, where there is another one."""
    states = sorted((folder / "train/checkpoints").glob("step-*"))
    if len(states) < 2:
        return
    content = bytearray(states[-1].read_bytes())
    at = chance.randrange(len(content) // 2, len(content))
    content[at] ^= 1 << chance.randrange(8)
    states[-1].write_bytes(content)
    figures.damaged += 1


def harass(case: Case, kills: int, chance: random.Random) -> Figures:
    """Kill one family's trainings so many times."""
    figures = Figures()
    expected, figures.seconds = unbroken(case)
    while figures.kills < kills:
        folder = case.folder / f"run-{figures.trainings}"
        while not disturb(case, folder, figures.seconds, chance, figures):
            if chance.random() < 0.1:
                damage(folder, chance, figures)
            if figures.kills >= kills:
                _, status = os.waitpid(case.child(folder, {"every_s": 0.001}), 0)
                assert status == 0, f"{case.name}: {(folder / 'error.txt').read_text()}"
                break
        figures.trainings += 1
        figures.wrong += weights_of(folder) != expected
        figures.wrong += any(folder.rglob("*.partial*"))
    return figures


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all, dealt over the families")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FAMILIES, help="one family")
    options = parser.parse_args()
    chosen = {name: FAMILIES[name] for name in ([options.only] if options.only else FAMILIES)}
    order = list(chosen)
    random.Random(options.seed).shuffle(order)
    shares = {name: len(range(at, options.kills, len(order))) for at, name in enumerate(order)}
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder:
        began, first = time.monotonic(), True
        for name in chosen:
            if not shares[name]:
                continue
            here = Path(folder) / str(len(found))
            family = FAMILIES[name]
            case = Case(name, family, prepared(here / "data", family.target, family.inputs), here)
            if first:
                imported(case)
                first = False
            found[name] = harass(case, shares[name], random.Random(f"{options.seed} {name}"))
        total = {
            key: sum(getattr(one, key) for one in found.values()) for key in ("kills", "asked", "damaged", "wrong")
        }
        total["trainings"] = sum(one.trainings for one in found.values())
        total["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps({"total": total, "families": {name: vars(one) for name, one in found.items()}}, indent=1))
    return int(total["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
