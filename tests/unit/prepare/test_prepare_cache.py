"""Shared folders of encoded data: whole or absent, checked before use."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from danlu.base.errors import StorageError
from danlu.base.progress import Quiet, Task
from danlu.prepare.cache import cached, damage


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        yield self


def build(folder: Path) -> None:
    (folder / "train").mkdir()
    (folder / "train" / "a.npy").write_bytes(b"abc")


def test_it_is_built_once(tmp_path: Path) -> None:
    folder, built = cached(tmp_path, "key", build, Quiet())
    assert built
    assert (folder / "train" / "a.npy").read_bytes() == b"abc"
    assert cached(tmp_path, "key", build, Quiet()) == (folder, False)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("harm", ["flip", "cut", "delete", "manifest"])
def test_a_damaged_one_is_built_anew_and_said(tmp_path: Path, harm: str) -> None:
    folder, _ = cached(tmp_path, "key", build, Quiet())
    path = folder / ("manifest.json" if harm == "manifest" else "train/a.npy")
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes({"flip": b"abd", "cut": b"ab", "manifest": b"{"}[harm])
    heard = Heard()
    assert cached(tmp_path, "key", build, heard) == (folder, True)
    assert damage(folder) == ""
    assert "is damaged" in heard.said[0]
    assert "building it anew" in heard.said[0]


def test_the_loser_of_a_race_uses_the_winners(tmp_path: Path) -> None:
    def build_while_another_does(folder: Path) -> None:
        winner = tmp_path / "key"
        winner.mkdir()
        (winner / "who").write_text("winner")
        build(folder)

    folder, _ = cached(tmp_path, "key", build_while_another_does, Quiet())
    assert (folder / "who").read_text() == "winner"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_full_disk_leaves_nothing_half_built(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "a").write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match=r"No space left on device[\s\S]*free some space"):
        cached(tmp_path, "key", fill, Quiet())
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_builds_is_not(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".a.1.partial", tmp_path / ".b.2.partial"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / ".lock").touch()
    with open(alive / ".lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, _ = cached(tmp_path, "key", build, Quiet())
    assert not dead.exists()
    assert alive.exists()
    assert damage(folder) == ""
