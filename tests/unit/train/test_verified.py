"""Files of tensors: any safetensors reader opens them, and no change goes unseen."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from danlu.base.errors import StorageError
from danlu.train.keeping.verified import DamagedError, check, read_metadata, write_tensors

TENSORS = {
    "weights": torch.randn(5, 7),
    "half": torch.randn(3).bfloat16(),
    "count": torch.tensor(7),
    "state": torch.arange(9, dtype=torch.uint8),
    "mask": torch.tensor([True, False]),
    "none": torch.zeros(0, 3),
    "wide": torch.randn(2, dtype=torch.float64),
}


def test_safetensors_reads_what_was_written(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", TENSORS, {"note": "丹"})
    found = load_file(tmp_path / "a.safetensors")
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["note"] == "丹"
    assert check(tmp_path / "a.safetensors") == {"note": "丹"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", TENSORS, {"x": "1"})
    write_tensors(tmp_path / "b", dict(reversed(TENSORS.items())), {"x": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_and_every_cut_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_tensors(path, {"w": torch.arange(4.0), "n": torch.tensor(3)}, {"x": "1"})
    whole = path.read_bytes()
    header = 8 + len(json.dumps(json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])).encode())
    padding = range(header, 8 + int.from_bytes(whole[:8], "little"))
    assert len(padding) < 8
    for at in range(len(whole)):
        if at in padding:
            continue  # blanks that mean nothing
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(DamagedError, match=r"cut short|header is not|does not match"):
            check(path)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedError, match=r"cut short|does not match"):
            check(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(DamagedError, match="does not match"):
        check(path)
    path.write_bytes(whole)
    assert check(path) == {"x": "1"}
    assert read_metadata(path)["x"] == "1"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    import resource
    import signal

    path = tmp_path / "a"
    write_tensors(path, {"w": torch.zeros(4)}, {})
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"could not write .*a: File too large"):
            write_tensors(path, {"w": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a"]
