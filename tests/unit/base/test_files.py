import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from danlu.base.errors import DanluError, StorageError
from danlu.base.files import (
    append_bytes,
    fingerprint,
    hash_file,
    read_json,
    write_bytes,
    write_json,
    write_with,
    writing,
)


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "x", b"old")

    def half() -> None:
        with writing(tmp_path / "a" / "x") as file:
            file.write(b"half of the new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half()
    assert (tmp_path / "a" / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path / "a") == ["x"]


def test_a_full_disk_says_so_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x", b"old")
    with (
        pytest.raises(StorageError, match=r"could not write .*x: No space left on device") as caught,
        writing(tmp_path / "x"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.hint == "free some space and run again"
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_what_is_added_stands_at_the_end(tmp_path: Path) -> None:
    append_bytes(tmp_path / "x", b"one ")
    append_bytes(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"one two"
    with pytest.raises(StorageError, match="could not write"):
        append_bytes(tmp_path / "absent" / "x", b"one")


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def make(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="No space left"):
        write_with(tmp_path / "model.onnx", make)
    assert os.listdir(tmp_path) == []


def test_json_refuses_what_json_has_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert os.listdir(tmp_path) == []
    with pytest.raises(DanluError, match="could not read"):
        read_json(tmp_path / "x.json")


def test_a_fingerprint_is_the_same_in_every_process(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, "丹"], "a": None}
    code = f"from danlu.base.files import append_bytes, fingerprint; print(fingerprint({value!r}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == fingerprint(dict(reversed(value.items())))


def test_a_file_hash_is_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert hash_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
