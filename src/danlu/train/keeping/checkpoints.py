"""A run's checkpoints: written by a thread, verified, kept and pruned; the newest whole one is taken up again.

    checkpoints/step-000001200.safetensors     the whole state after 1,200 steps
    checkpoints/best-00007.safetensors         the weights that were kept after epoch 7 (from 0)
    checkpoints/damaged-step-000001500.safetensors   what was found damaged, set aside

A state refers to the best weights by their epoch, and those are in place before it is: whatever moment a kill picks,
every state that can be seen has its weights beside it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from danlu.base.errors import RunError
from danlu.base.files import storage_error, writing
from danlu.prepare.prepared import Finding
from danlu.recipe.schema import Checkpoints as Keep
from danlu.train.keeping.state import Position, random_states, set_random_states
from danlu.train.keeping.verified import DamagedError, check, read_metadata, write_tensors

FOLDER = "checkpoints"


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: the run's `train/`; nothing is made there before the first checkpoint.
        live: the tensors that training changes, by name: what is saved, and filled when a checkpoint is taken up.
        inputs: fingerprint of the training: checkpoints of another one are not taken up.
        keep: the recipe's `train.checkpoints`.
        device: where the network is trained: its random state is part of the state.
        say: tells a person one line.
    """

    def __init__(
        self,
        folder: Path,
        live: Mapping[str, Tensor],
        inputs: str,
        keep: Keep,
        *,
        device: str = "cpu",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.folder, self.live, self.inputs, self.keep = folder / FOLDER, live, inputs, keep
        self.device, self.say = device, say
        self.saved_at = time.monotonic()
        self.failed = False  # whether the last write did: `wait` raises what it met
        self._error: BaseException | None = None
        self._thread: Thread | None = None
        self._copies: dict[str, Tensor] = {}
        self._unwritten: dict[int, dict[str, Tensor]] = {}
        self._saved: tuple[int, int, bool] | None = None

    def due(self) -> bool:
        """Whether it is time for the next one; not while one is being written, unless every step has its own."""
        if time.monotonic() - self.saved_at < self.keep.every_s:
            return False
        return not self.keep.every_s or self._thread is None or not self._thread.is_alive()

    def keep_weights(self, position: Position, value: float, weights: Callable[[], dict[str, Tensor]]) -> None:
        """Keep an epoch's weights if they are the best or among the `keep_best` best; the next checkpoint holds them.

        Args:
            position: after the epoch was judged; `kept` is brought up to date.
            value: the monitored value, turned so that less is better.
            weights: gives a copy of the weights.
        """
        best = position.best_epoch
        ranked = sorted([*position.kept, [value, position.epoch]], key=lambda one: (one[1] != best, one[0], one[1]))
        position.kept = ranked[: self.keep.keep_best]
        epochs = {epoch for _, epoch in position.kept}
        if position.epoch in epochs:
            self._unwritten[position.epoch] = weights()
        self._unwritten = {epoch: found for epoch, found in self._unwritten.items() if epoch in epochs}

    def begin(self, position: Position) -> None:
        """Copy the state and write it in a thread; one that is still being written is waited for.

        Raises:
            StorageError: the one before could not be written; those before it still stand.
        """
        self.wait()
        moment = (position.count, position.epoch, position.stopped)
        self.saved_at = time.monotonic()
        if moment == self._saved:
            return
        for name, tensor in self.live.items():
            if name not in self._copies:
                self._copies[name] = torch.empty(tensor.shape, dtype=tensor.dtype)
            self._copies[name].copy_(tensor.detach())
        tensors = self._copies | random_states(self.device)
        metadata = {"inputs": self.inputs, "position": position.to_json()}
        weights, self._unwritten = self._unwritten, {}
        self._saved = moment
        work = (self._state(position.count), tensors, metadata, weights)
        self._thread = Thread(target=self._write, args=work, name="danlu-checkpoint")
        self._thread.start()

    def join(self) -> None:
        """Until nothing is being written, whatever becomes of it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wait(self) -> None:
        """Until nothing is being written. Raises what the last write met (StorageError)."""
        self.join()
        if self._error is not None:
            error, self._error, self.failed = self._error, None, False
            self._saved = None
            raise error

    def finish(self, position: Position, best: Path) -> None:
        """Write the last state and put the best weights in their place. Raises StorageError."""
        self.begin(position)
        self.wait()
        with writing(best) as file, open(self._best(position.best_epoch), "rb") as source:
            shutil.copyfileobj(source, file)

    def take_up(self) -> Position | None:
        """Put the newest whole state in place and give its position; None where there is none of these inputs.

        Damaged ones that are newer are set aside under another name, told, and are a finding.

        Raises:
            RunError: there are checkpoints, and none of them is whole.
        """
        damaged: list[tuple[Path, str]] = []
        strange = False
        for path in self._states():
            try:
                found = self._read(path)
            except (DamagedError, OSError) as error:
                damaged.append((path, getattr(error, "message", str(error))))
                continue
            if found is not None:
                found.damaged += [self._set_aside(one, reason, path) for one, reason in damaged]
                return found
            strange = True
        if damaged and not strange:
            told = "; ".join(f"{path.name}: {reason}" for path, reason in damaged)
            raise RunError(
                f"no checkpoint of this training is whole: {told}",
                where=str(self.folder),
                hint="put back a copy of one, or delete the folder to train from the start",
            )
        self._clear()
        return None

    def _state(self, count: int) -> Path:
        return self.folder / f"step-{count:09d}.safetensors"

    def _best(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch:05d}.safetensors"

    def _states(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def _write(
        self,
        path: Path,
        tensors: Mapping[str, Tensor],
        metadata: Mapping[str, str],
        weights: Mapping[int, Mapping[str, Tensor]],
    ) -> None:
        """In the thread: best weights, then the state that refers to them, then what is no longer needed goes."""
        try:
            for epoch, found in weights.items():
                write_tensors(self._best(epoch), found, {})
            write_tensors(path, tensors, metadata)
            self._prune()
        except BaseException as error:  # it is raised in the training thread
            self._error, self.failed = error, True

    def _prune(self) -> None:
        """Remove older states, then the weights that no state refers to any more. Raises StorageError."""
        states = self._states()
        kept, needed = states[: self.keep.keep_last], set()
        for path in kept:
            try:
                position = Position.from_json(read_metadata(path)["position"])
                needed |= {self._best(epoch) for _, epoch in position.kept}
            except (DamagedError, KeyError, ValueError, TypeError):
                continue  # who takes it up will tell
        unneeded = [path for path in self.folder.glob("best-*.safetensors") if path not in needed]
        try:
            for path in (*states[self.keep.keep_last :], *unneeded):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def _read(self, path: Path) -> Position | None:
        """Take up one state; None where it is of other inputs. Raises DamagedError."""
        metadata = check(path)
        if metadata.get("inputs") != self.inputs:
            return None
        try:
            position = Position.from_json(metadata["position"])
        except (KeyError, ValueError, TypeError) as error:
            raise DamagedError(f"it tells no position: {error}", where=str(path)) from error
        position.kept = [one for one in position.kept if one[1] == position.best_epoch or self._is_whole(one[1])]
        if position.best is not None:
            self._check_best(position.best_epoch)
        try:
            with safe_open(path, "pt") as file, torch.no_grad():
                for name, tensor in self.live.items():
                    tensor.copy_(file.get_tensor(name))
                names = [name for name in file.keys() if name.startswith("rng/")]  # noqa: SIM118 - it is no mapping
                set_random_states({name: file.get_tensor(name) for name in names}, self.device)
        except (SafetensorError, RuntimeError) as error:
            raise DamagedError(f"it does not hold this network's state: {error}", where=str(path)) from error
        return position

    def _check_best(self, epoch: int) -> None:
        """Raises DamagedError where the weights that a state refers to are not whole."""
        best = self._best(epoch)
        try:
            check(best)
        except (DamagedError, OSError) as error:
            reason = "they are not there" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
            raise DamagedError(f"the best weights that go with it, {best.name}: {reason}", where=str(best)) from error

    def _is_whole(self, epoch: int) -> bool:
        try:
            self._check_best(epoch)
        except DamagedError:
            return False
        return True

    def _set_aside(self, path: Path, reason: str, taken: Path) -> dict[str, str]:
        """Rename a damaged state and tell of it; gives what `Position.damaged` notes. Raises StorageError."""
        aside = path.with_name(f"damaged-{path.name}")
        try:
            os.replace(path, aside)
        except OSError as error:
            raise storage_error(path, error) from error
        self.say(f"warning: the checkpoint {path.name} is damaged ({reason}): going on from {taken.name}; see {aside}")
        return {"file": aside.name, "reason": reason, "taken": taken.name}

    def _clear(self) -> None:
        """Remove what another training left. Raises StorageError."""
        try:
            for pattern in ("step-*.safetensors", "best-*.safetensors"):
                for path in self.folder.glob(pattern):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(self.folder, error) from error


def damage_findings(damaged: Sequence[Mapping[str, str]]) -> list[Finding]:
    """What `Position.damaged` tells, as findings."""
    return [
        Finding(
            key="checkpoint_damaged",
            severity="warning",
            message=f"a checkpoint was damaged ({one['reason']}); training went on from {one['taken']}",
            remedy=f"the weights are not affected; test the disk, then delete {FOLDER}/{one['file']}",
            evidence=dict(one),
        )
        for one in damaged
    ]
