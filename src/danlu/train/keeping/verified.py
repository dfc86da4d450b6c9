"""Tensors in a safetensors file that carries a hash of itself and is read back before it is put in place.

Written by hand, straight from the tensors' memory: safetensors' own writer holds Python's lock while it copies
everything twice, and training would stand still for that long. Any safetensors reader opens the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from danlu.base.errors import DanluError, StorageError
from danlu.base.files import write_with

_CHUNK = 1 << 20
_MOST_HEADER = 100_000_000  # what safetensors itself allows
_HASH = "hash"
_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class DamagedError(DanluError):
    """A file is not what was written: cut short, or changed."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file atomically: it is put in place after what the disk gives back was compared with what was written.

    Args:
        path: where; what stands there stands until the new file is whole.
        tensors: name → contiguous tensor on the CPU.
        metadata: kept beside them.

    Raises:
        StorageError: the disk is full, may not be written, or does not give back what it was given.
    """
    # Wide numbers first: every tensor then begins where its dtype may.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in order:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        shape = list(tensors[name].shape)
        header[name] = {"dtype": _NAMES[tensors[name].dtype], "shape": shape, "data_offsets": [start, end]}
    pieces = [_bytes(tensors[name]) for name in order]
    digest = _begun(header)
    for piece in pieces:
        digest.update(piece)
    header["__metadata__"][_HASH] = digest.hexdigest()
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)

    def write(partial: Path) -> None:
        with open(partial, "wb") as file:
            file.write(len(text).to_bytes(8, "little"))
            file.write(text)
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(
                    file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED
                )  # read back from the disk, not from memory
        try:
            check(partial)
        except DamagedError as error:
            message = f"{path} did not read back as it was written: {error.message}"
            raise StorageError(
                message, where=str(path), hint="the disk or the memory may be failing: test them"
            ) from error

    write_with(path, write)


def check(path: Path) -> dict[str, str]:
    """The metadata of a whole file.

    Raises:
        DamagedError: it is cut short or was changed.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        header = _header(file)
        metadata: dict[str, str] = header["__metadata__"]
        expected = metadata.pop(_HASH)
        digest = _begun(header)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise DamagedError("its content does not match its hash", where=str(path))
    return metadata


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata alone, unchecked. Raises DamagedError, OSError."""
    with open(path, "rb") as file:
        metadata: dict[str, str] = _header(file)["__metadata__"]
    return metadata


def _header(file: IO[bytes]) -> dict[str, Any]:
    """What stands before the tensors. Raises DamagedError."""
    size = int.from_bytes(file.read(8), "little")
    text = file.read(size) if size <= _MOST_HEADER else b""
    if len(text) != size or not text:
        raise DamagedError("it is cut short", where=file.name)
    try:
        header: dict[str, Any] = json.loads(text)
        if isinstance(header["__metadata__"][_HASH], str):
            return header
    except (ValueError, KeyError, TypeError):
        pass
    raise DamagedError("its header is not what was written", where=file.name)


def _begun(header: Mapping[str, Any]) -> Any:
    """The hash of a file before its tensors: over the header without the hash itself."""
    return hashlib.sha256(json.dumps(header, ensure_ascii=False, sort_keys=True).encode())


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().data
