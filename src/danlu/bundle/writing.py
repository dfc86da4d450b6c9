"""Write a bundle: whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from danlu.base.errors import StorageError
from danlu.base.files import hash_file, storage_error, write_bytes, write_with
from danlu.bundle.format import (
    CARD,
    COLUMN_ARRAYS,
    COLUMNS,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    MODEL,
    NETWORK,
    PARITY,
    RECIPE,
    SCORECARD,
    WEIGHTS,
    manifest_hash,
    render_manifest,
)
from danlu.columns.schema import Schema
from danlu.tasks.task import task_for

_LIBRARIES = ("numpy", "onnx", "onnxruntime", "polars", "safetensors", "torch")


@dataclass(frozen=True, kw_only=True)
class BundleParts:
    """All that goes into a bundle.

    Attributes:
        name: the model's name.
        schema: the fitted columns.
        model: the ONNX file.
        weights: the safetensors file with the weights, or None.
        network: what `network.json` holds, or None.
        recipe: the resolved recipe as YAML, or "".
        scorecard: JSON-able, or None.
        parity: JSON-able, or None for a bundle that is still to be proved.
        card: Markdown, or "".
        variant: which variant `model` is.
        licence: the model's licence, or None.
        created: when, ISO 8601; by default now.
    """

    name: str
    schema: Schema
    model: Path
    weights: Path | None = None
    network: Mapping[str, Any] | None = None
    recipe: str = ""
    scorecard: Mapping[str, Any] | None = None
    parity: Mapping[str, Any] | None = None
    card: str = ""
    variant: str = "fp32"
    licence: str | None = None
    created: str = ""


def write_bundle(folder: Path, parts: BundleParts) -> dict[str, Any]:
    """Write a bundle under `folder`; an older one there is replaced as a whole.

    A process that is killed on the way leaves the old bundle, the new one, or (between two renames) none; never a half.

    Returns:
        The manifest.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_files(partial, parts)
        manifest = make_manifest(partial, parts)
        write_bytes(partial / MANIFEST, render_manifest(manifest))
        _put_in_place(partial, folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise storage_error(folder, error) from error
    except StorageError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _write_files(folder: Path, parts: BundleParts) -> None:
    from safetensors.numpy import save

    columns, arrays = parts.schema.dump()
    write_bytes(folder / COLUMN_ARRAYS, save(arrays))
    write_with(folder / MODEL, lambda path: shutil.copyfile(parts.model, path))
    if parts.weights is not None:
        weights = parts.weights
        write_with(folder / WEIGHTS, lambda path: shutil.copyfile(weights, path))
    documents = {
        COLUMNS: columns,
        NETWORK: parts.network,
        SCORECARD: parts.scorecard,
        PARITY: parts.parity,
    }
    for name, value in documents.items():
        if value is not None:
            write_bytes(folder / name, _json(value))
    for name, text in ((RECIPE, parts.recipe), (CARD, parts.card)):
        if text:
            write_bytes(folder / name, text.encode("utf-8"))


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8")


def make_manifest(folder: Path, parts: BundleParts) -> dict[str, Any]:
    """The manifest of the files in `folder`."""
    files = {
        path.name: {"sha256": hash_file(path), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": parts.name,
        "created": parts.created or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "danlu": metadata.version("danlu"),
        "task": task_for(parts.schema.target).name,
        "variant": parts.variant,
        "signature": signature(parts.schema),
        "weights_hash": files.get(WEIGHTS, {}).get("sha256", ""),
        "recipe_hash": files.get(RECIPE, {}).get("sha256", ""),
        "libraries": _versions(),
        "licence": parts.licence,
        "files": files,
    }
    return {**manifest, "hash": manifest_hash(manifest)}


def signature(schema: Schema) -> dict[str, Any]:
    """What goes in and what comes out: columns for people, tensors for other runtimes."""
    target: dict[str, Any] = {"name": schema.target.name, "type": schema.target.type}
    if labels := schema.target.labels:
        target["labels"] = list(labels)
    shape = task_for(schema.target).output_shape
    return {
        "inputs": [{"name": column.name, "type": column.type} for column in schema.inputs],
        "output": target,
        "network_inputs": [
            {"name": spec.name, "dtype": spec.dtype, "shape": ["batch", *spec.shape]} for spec in schema.input_specs
        ],
        "network_outputs": [{"name": "outputs", "dtype": "float32", "shape": ["batch", *shape]}],
    }


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename the new bundle in; an old one is renamed away first, since a folder cannot be replaced in one call."""
    old = folder.with_name(f".{folder.name}.old.partial")
    shutil.rmtree(old, ignore_errors=True)
    sync_folder(partial)
    if folder.exists():
        os.rename(folder, old)
    os.rename(partial, folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
