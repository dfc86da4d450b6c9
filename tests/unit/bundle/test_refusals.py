"""Bundles that are damaged or meant to harm are refused before anything in them is used."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from danlu.base.errors import BundleError
from danlu.bundle import load
from danlu.bundle.format import LIMITS, manifest_hash, render_manifest
from danlu.columns.schema import Schema

MakeBundle = Callable[..., Path]
FILES = ["manifest.json", *LIMITS]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pristine")


@pytest.fixture
def bundle(tmp_path: Path, make_bundle: MakeBundle, pristine: Path) -> Path:
    if not (pristine / "bundle").exists():
        make_bundle(pristine / "bundle")
    return Path(shutil.copytree(pristine / "bundle", tmp_path / "bundle"))


def forge(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and make its own hash right again, as an attacker would."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    manifest["hash"] = manifest_hash(manifest)
    (folder / "manifest.json").write_bytes(render_manifest(manifest))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.31, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("bit", [1, 128])
def test_one_flipped_byte_is_found_and_its_file_named(bundle: Path, name: str, place: float, bit: int) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[round(place * (len(data) - 1))] ^= bit
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError) as caught:
        load(bundle)
    assert caught.value.where == name
    assert caught.value.message.startswith(name)


@pytest.mark.parametrize("name", FILES)
def test_a_shortened_file_is_found(bundle: Path, name: str) -> None:
    data = (bundle / name).read_bytes()
    (bundle / name).write_bytes(data[:-1])
    with pytest.raises(BundleError) as caught:
        load(bundle)
    assert caught.value.where == name


@pytest.mark.parametrize("name", list(LIMITS))
def test_an_absent_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is absent"):
        load(bundle)


def test_an_unknown_file_is_refused(bundle: Path) -> None:
    (bundle / "model.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(BundleError, match=r"'model\.pkl' is not in the manifest"):
        load(bundle)


def test_an_unknown_file_is_refused_though_the_manifest_names_it(bundle: Path) -> None:
    (bundle / "model.pkl").write_bytes(pickle.dumps({}))
    forge(bundle, lambda manifest: manifest["files"].update({"model.pkl": {"size": 1, "sha256": "0" * 64}}))
    with pytest.raises(BundleError, match=r"'model\.pkl' in the manifest is not a file of a bundle"):
        load(bundle)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "..", "a\\b", "sub/model.onnx", ""])
def test_paths_that_lead_out_are_refused(bundle: Path, name: str) -> None:
    forge(bundle, lambda manifest: manifest["files"].update({name: {"size": 1, "sha256": "0" * 64}}))
    with pytest.raises(BundleError, match="leads out of the bundle"):
        load(bundle)


@pytest.mark.parametrize("name", FILES)
def test_symbolic_links_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    shutil.move(bundle / name, tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=f"{name} is a symbolic link"):
        load(bundle)


@pytest.mark.parametrize("name", FILES)
def test_hard_links_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    os.link(bundle / name, tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=f"{name} is a hard link"):
        load(bundle)


def test_a_pipe_is_refused_and_does_not_block(bundle: Path) -> None:
    (bundle / "card.md").unlink()
    os.mkfifo(bundle / "card.md")
    with pytest.raises(BundleError, match=r"card\.md is not a regular file"):
        load(bundle)


def test_a_size_past_the_limit_is_refused_before_reading(bundle: Path) -> None:
    forge(bundle, lambda manifest: manifest["files"]["card.md"].update(size=1 << 40))
    with pytest.raises(BundleError, match=r"card\.md is 1099511627776 bytes; at most"):
        load(bundle)


def test_a_newer_format_names_the_release_it_needs(bundle: Path) -> None:
    forge(bundle, lambda manifest: manifest.update(format_version=2, danlu="3.1.0"))
    with pytest.raises(BundleError, match="the bundle is of format 2; this release reads formats up to 1") as caught:
        load(bundle)
    assert caught.value.hint == "pip install 'danlu>=3.1.0'"


def test_another_format_is_not_a_bundle(bundle: Path) -> None:
    forge(bundle, lambda manifest: manifest.update(format="something"))
    with pytest.raises(BundleError, match=r"manifest\.json is not a bundle's"):
        load(bundle)


@pytest.mark.parametrize(
    "text", ["[]", "{", "null", "[" * 100_000, '{"format": "danlu-bundle", "format_version": true}']
)
def test_a_manifest_of_nonsense_is_refused(bundle: Path, text: str) -> None:
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load(bundle)


def test_a_manifest_without_the_model_is_refused(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    forge(bundle, lambda manifest: manifest["files"].pop("model.onnx"))
    with pytest.raises(BundleError, match=r"it does not name model\.onnx"):
        load(bundle)


def test_what_is_not_there_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        load(tmp_path / "none")
    with pytest.raises(BundleError, match=r"it has no manifest\.json"):
        load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is a file, not a folder"):
        load(tmp_path / "file")


def test_operators_of_other_makers_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, make_graph: Callable[..., Path], make_schema: Callable[..., Schema]
) -> None:
    model = make_graph(make_schema(), tmp_path / "evil.onnx", domain="evil.ops")
    with pytest.raises(BundleError, match=r"model\.onnx has operators of the domain 'evil\.ops'"):
        load(make_bundle(tmp_path / "bundle", model=model))


def test_data_in_other_files_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, make_graph: Callable[..., Path], make_schema: Callable[..., Schema]
) -> None:
    import onnx

    path = make_graph(make_schema(), tmp_path / "external.onnx")
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(BundleError, match=r"model\.onnx takes data from another file"):
        load(make_bundle(tmp_path / "bundle", model=path))


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x80\x04K\x00.", bytes(64), b"\xff" * 64])
def test_a_graph_of_nonsense_is_refused(tmp_path: Path, make_bundle: MakeBundle, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx is damaged: it is not an ONNX file"):
        load(make_bundle(tmp_path / "bundle", model=tmp_path / "bad.onnx"))


def test_weights_that_are_a_pickle_are_refused(tmp_path: Path, make_bundle: MakeBundle) -> None:
    (tmp_path / "weights.bin").write_bytes(pickle.dumps({"w": [1.0] * 100}))
    with pytest.raises(BundleError, match=r"model\.safetensors is damaged"):
        load(make_bundle(tmp_path / "bundle", weights=tmp_path / "weights.bin"))


def test_a_proof_of_another_model_is_refused(tmp_path: Path, make_bundle: MakeBundle) -> None:
    parity = {"passed": True, "files": {"model.onnx": "0" * 64}}
    with pytest.raises(BundleError, match=r"parity\.json proves another model\.onnx"):
        load(make_bundle(tmp_path / "bundle", parity=parity))


def test_columns_of_nonsense_are_refused(bundle: Path) -> None:
    import hashlib

    for text in ("{}", '{"inputs": [{"name": "a", "type": "evil", "options": {}, "state": {}}]}', '{"inputs": 3}'):
        (bundle / "columns.json").write_text(text)
        entry = {"size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        forge(bundle, lambda manifest, entry=entry: manifest["files"].update({"columns.json": entry}))  # type: ignore[misc]
        with pytest.raises(BundleError, match=r"columns\.json"):
            load(bundle)
