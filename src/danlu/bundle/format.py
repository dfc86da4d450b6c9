"""The bundle's format: which files, how large, and the manifest that names them all.

    bundle/
      manifest.json       format version, signature, hashes of every other file, versions, its own hash
      recipe.yaml         the resolved recipe
      columns.json  columns.safetensors    fitted preprocessing
      model.onnx          the network that is served
      model.safetensors  network.json      to train further
      scorecard.json  parity.json  card.md

A bundle is flat and closed: a file that is not in this list is refused, so that nothing can ride along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from danlu.base.errors import BundleError

FORMAT: Final = "danlu-bundle"
FORMAT_VERSION: Final = 1

MANIFEST: Final = "manifest.json"
RECIPE: Final = "recipe.yaml"
COLUMNS: Final = "columns.json"
COLUMN_ARRAYS: Final = "columns.safetensors"
MODEL: Final = "model.onnx"
WEIGHTS: Final = "model.safetensors"
NETWORK: Final = "network.json"
SCORECARD: Final = "scorecard.json"
PARITY: Final = "parity.json"
CARD: Final = "card.md"

_MB: Final = 1 << 20
# The largest size a file may have: what is larger is refused before it is read. ONNX itself ends at 2 GB.
LIMITS: Final[Mapping[str, int]] = {
    RECIPE: 16 * _MB,
    COLUMNS: 256 * _MB,
    COLUMN_ARRAYS: 2048 * _MB,
    MODEL: 2048 * _MB,
    WEIGHTS: 16384 * _MB,
    NETWORK: 64 * _MB,
    SCORECARD: 256 * _MB,
    PARITY: 64 * _MB,
    CARD: 16 * _MB,
}
MANIFEST_LIMIT: Final = 16 * _MB
# Without these nothing can be predicted.
REQUIRED: Final = (COLUMNS, COLUMN_ARRAYS, MODEL)

_KEYS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "format_version": int,
    "name": str,
    "created": str,
    "danlu": str,
    "task": str,
    "variant": str,
    "signature": dict,
    "weights_hash": str,
    "recipe_hash": str,
    "libraries": dict,
    "licence": (str, type(None)),
    "files": dict,
    "hash": str,
}


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest without its own `hash`: keys sorted, no spaces, UTF-8."""
    body = {key: value for key, value in manifest.items() if key != "hash"}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def render_manifest(manifest: Mapping[str, Any]) -> bytes:
    """The only bytes a manifest may have: a changed blank is found too."""
    return (json.dumps(manifest, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8")


def parse_json(name: str, data: bytes) -> Any:
    """The JSON in one of the bundle's files. Raises BundleError, which names the file."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(name, f"it is not JSON ({error})") from error


def parse_manifest(data: bytes) -> dict[str, Any]:
    """A manifest, checked: format, version, its own hash, and that it names only files a bundle may have.

    Raises:
        BundleError: it is damaged, or of a format that this release does not know.
    """
    manifest = parse_json(MANIFEST, data)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(
            f'{MANIFEST} is not a bundle\'s: "format" must be "{FORMAT}"',
            where=MANIFEST,
        )
    _check_version(manifest)
    for key, kind in _KEYS.items():
        if key not in manifest or not isinstance(manifest[key], kind):
            raise damaged(MANIFEST, f'"{key}" is absent or of the wrong type')
    if manifest["hash"] != manifest_hash(manifest) or render_manifest(manifest) != data:
        raise damaged(MANIFEST, "its content does not match its own hash")
    for name, entry in manifest["files"].items():
        _check_entry(name, entry)
    for name in REQUIRED:
        if name not in manifest["files"]:
            raise damaged(MANIFEST, f"it does not name {name}, which every bundle has")
    return manifest


def _check_version(manifest: Mapping[str, Any]) -> None:
    version = manifest.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise damaged(MANIFEST, f"format_version is {version!r}")
    if version > FORMAT_VERSION:
        wanted = str(manifest.get("danlu", "a newer release"))[:40]
        raise BundleError(
            f"the bundle is of format {version}; this release reads formats up to {FORMAT_VERSION}",
            where=MANIFEST,
            hint=f"pip install 'danlu>={wanted}'",
        )


def _check_entry(name: str, entry: Any) -> None:
    if "/" in name or "\\" in name or name in ("", ".", "..") or "\0" in name:
        raise BundleError(
            f"{name!r} in the manifest leads out of the bundle; files are named without folders",
            where=MANIFEST,
        )
    if name not in LIMITS:
        raise BundleError(
            f"{name!r} in the manifest is not a file of a bundle",
            where=MANIFEST,
            hint="do not trust it",
        )
    size = entry.get("size") if isinstance(entry, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(entry.get("sha256"), str):
        raise damaged(MANIFEST, f"the entry of {name} is not a size and a sha256")
    if size > LIMITS[name]:
        raise BundleError(f"{name} is {size} bytes; at most {LIMITS[name]} are allowed", where=name)


def damaged(name: str, reason: str) -> BundleError:
    """The error for a file that is not what was written."""
    return BundleError(
        f"{name} is damaged: {reason}",
        where=name,
        hint="copy the bundle again, or deploy again",
    )
