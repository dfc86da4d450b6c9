"""The folder of one run: its lock, and for each finished step what went in and what came out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danlu.base.errors import RunError
from danlu.base.files import hash_file, storage_error, write_json
from danlu.base.progress import Progress, Quiet

STEPS = ("prepare", "design", "train", "evaluate", "compress", "deploy")


@dataclass(frozen=True)
class Run:
    """One run: a folder, and where its work reports itself.

    Attributes:
        folder: `runs/NAME-0001`.
        progress: bars, lines or nothing.
        places: step → its folder within the run, where that is not named like the step.
    """

    folder: Path
    progress: Progress = field(default_factory=Quiet, compare=False)
    places: Mapping[str, str] = field(default_factory=dict, hash=False)

    def step(self, name: str) -> Path:
        """The folder of one step, made if it is not there."""
        path = self.folder / self.places.get(name, name)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(path, error) from error
        return path

    def finished(self, name: str, inputs: str) -> dict[str, Any] | None:
        """What a step wrote with `finish`, if it ran to its end on the same inputs and its files are unchanged.

        Args:
            name: one of `STEPS`.
            inputs: fingerprint of all that went into the step.

        Returns:
            The step's result, or None where the step is to be run.
        """
        record = self._record(name)
        if record is None or record.get("inputs") != inputs:
            return None
        whole = all(
            (self.folder / path).is_file() and hash_file(self.folder / path) == digest
            for path, digest in record["outputs"].items()
        )
        result: dict[str, Any] = record["result"]
        return result if whole else None

    def _record(self, name: str) -> dict[str, Any] | None:
        try:
            file = self.folder / self.places.get(name, name) / "step.json"
            record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record

    def finish(
        self, name: str, inputs: str, outputs: list[Path], result: dict[str, Any], *, seconds: float
    ) -> dict[str, Any]:
        """Record that a step has ended: its inputs, the hashes of its files and a small JSON-able result."""
        hashes = {str(path.relative_to(self.folder)): hash_file(path) for path in sorted(outputs)}
        record = {"step": name, "inputs": inputs, "outputs": hashes, "seconds": round(seconds, 3), "result": result}
        write_json(self.step(name) / "step.json", record)
        return result

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process alone; the system lets go of it when the process dies.

        Raises:
            RunError: another process holds it.
        """
        self.step("")
        with open(self.folder / ".lock", "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise RunError(
                    f"{self.folder} is in use by process {holder}",
                    where=str(self.folder),
                    hint="wait for it to end, or stop it",
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            _sweep(self.folder)
            yield


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half-written: nobody else can be writing here."""
    for path in folder.rglob("*.partial*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def open_run(
    root: Path, name: str, key: str, progress: Progress | None = None, parts: Mapping[str, str] | None = None
) -> Run:
    """The newest run of `name` whose key is `key`, or a new one.

    Args:
        root: the folder of all runs.
        name: the recipe's name.
        key: fingerprint of the recipe, its data and the code; a run goes on only with the same.
        progress: where the run's work reports itself.
        parts: what the key was made of, by name: kept beside it, so that a difference can be named.

    Raises:
        StorageError: the folder cannot be made.
    """
    progress = progress or Quiet()
    folders = numbered(root, name)
    for _, folder in reversed(folders):
        with contextlib.suppress(OSError, ValueError):
            if json.loads((folder / "run.json").read_text(encoding="utf-8"))["key"] == key:
                return Run(folder, progress)
    run = Run(root / f"{name}-{(folders[-1][0] if folders else 0) + 1:04d}", progress)
    run.step("")
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(run.folder / "run.json", {"key": key, "parts": dict(parts or {}), "started": started})
    return run


def numbered(root: Path, name: str) -> list[tuple[int, Path]]:
    """The runs of `name` under `root`, as (number, folder), oldest first."""
    pattern = re.compile(re.escape(name) + r"-(\d{4,})")
    found = [(pattern.fullmatch(path.name), path) for path in root.glob("*")] if root.is_dir() else []
    return sorted((int(match.group(1)), path) for match, path in found if match)
