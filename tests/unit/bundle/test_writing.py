"""A bundle is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from danlu.base.errors import BundleError, StorageError
from danlu.base.runs import Run
from danlu.bundle import load
from danlu.bundle.writing import BundleParts, write_bundle
from danlu.columns.schema import Schema

MakeBundle = Callable[..., Path]


def test_an_older_bundle_is_replaced_as_a_whole(tmp_path: Path, make_bundle: MakeBundle) -> None:
    first = load(make_bundle(tmp_path / "bundle")).version
    make_bundle(tmp_path / "bundle", name="second")
    assert load(tmp_path / "bundle").name == "second"
    assert load(tmp_path / "bundle").version != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "bundle-work"]


def test_parts_that_are_not_there_are_left_out(
    tmp_path: Path, make_schema: Callable[..., Schema], make_graph: Callable[..., Path]
) -> None:
    schema = make_schema()
    model = make_graph(schema, tmp_path / "model.onnx")
    manifest = write_bundle(tmp_path / "bundle", BundleParts(name="bare", schema=schema, model=model))
    assert sorted(manifest["files"]) == ["columns.json", "columns.safetensors", "model.onnx"]
    assert load(tmp_path / "bundle").scorecard == {}


def test_no_file_is_a_pickle(tmp_path: Path, make_bundle: MakeBundle) -> None:
    folder = make_bundle(tmp_path / "bundle")
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors", ".onnx", ".yaml", ".md"}
    assert not any(path.read_bytes().startswith(b"\x80") for path in folder.iterdir() if path.suffix != ".safetensors")


def test_a_full_disk_leaves_the_old_bundle(tmp_path: Path, make_bundle: MakeBundle) -> None:
    before = load(make_bundle(tmp_path / "bundle")).version
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageError, match="could not write"):
            make_bundle(tmp_path / "bundle", card="x" * 50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert load(tmp_path / "bundle").version == before
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


_KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from conftest import toy_bundle
import danlu.base.files as files

at = int(sys.argv[1])
count = 0
def seen(event, arguments):
    global count
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "open"):
        if "bundle" in str(arguments[0]) and "-work" not in str(arguments[0]):
            count += 1
            if count == at:
                os.kill(os.getpid(), 9)
sys.addaudithook(seen)
toy_bundle(Path(sys.argv[2]), name="new")
print(count)
"""


def test_a_kill_at_any_moment_leaves_old_new_or_nothing(tmp_path: Path, make_bundle: MakeBundle) -> None:
    script = _KILLED.format(tests=str(Path(__file__).parent.parent))

    def run(at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(at), str(tmp_path / "run" / "bundle")]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})

    unbroken = run(0)
    assert unbroken.returncode == 0, unbroken.stderr
    total = int(unbroken.stdout)
    for at in sorted({1, total // 3, total - 3, total - 2, total - 1, total}):
        make_bundle(tmp_path / "run" / "bundle", name="old")
        assert run(at).returncode == -signal.SIGKILL
        if (tmp_path / "run" / "bundle").exists():
            assert load(tmp_path / "run" / "bundle").name in ("old", "new")
        else:
            with pytest.raises(BundleError, match="does not exist"):
                load(tmp_path / "run" / "bundle")
        with Run(tmp_path / "run").locked():
            make_bundle(tmp_path / "run" / "bundle", name="again")
            assert load(tmp_path / "run" / "bundle").name == "again"
            assert not [path for path in (tmp_path / "run").iterdir() if "partial" in path.name]


def test_the_manifest_is_for_people_too(tmp_path: Path, make_bundle: MakeBundle) -> None:
    text = (make_bundle(tmp_path / "bundle") / "manifest.json").read_text(encoding="utf-8")
    manifest = json.loads(text)
    assert '\n  "format_version": 1,\n' in text
    assert manifest["weights_hash"] == manifest["files"]["model.safetensors"]["sha256"]
    assert manifest["libraries"]["onnxruntime"]
    assert manifest["licence"] is None
