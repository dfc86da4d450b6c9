"""A pre-trained checkpoint in the Hugging Face layout: a folder, or a name on the hub. No torch here, nor transformers.

What is read of it: `config.json` (the architecture), `*.safetensors` (the weights), `tokenizer.json` or `vocab.txt`,
`preprocessor_config.json` (what pictures and sounds are brought to), and the licence that its `README.md` states.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from danlu.base.errors import DanluError, Fault, RecipeError
from danlu.base.files import fingerprint, hash_file

_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$|^[A-Za-z0-9][\w-]*$")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]
_LICENCE = re.compile(r"\A---\n(?:.*\n)*?license:\s*(\S.*?)\s*\n(?:.*\n)*?---\n")
CONVERT = (
    'convert it once, where its origin is trusted: python -c "import torch, safetensors.torch as s; '
    "s.save_file({k: v.clone() for k, v in torch.load('FILE', map_location='cpu', weights_only=True).items()}, "
    "'model.safetensors', metadata={'format': 'pt'})\""
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder.

    Attributes:
        name: as the recipe gives it, without the folders around it.
        folder: where its files lie.
    """

    name: str
    folder: Path

    @property
    def config(self) -> dict[str, Any]:
        """The architecture. Raises DanluError where it is none of transformers' own."""
        config = self._read("config.json")
        assert config is not None, "found_checkpoint looks for it"
        if not isinstance(config.get("model_type"), str):
            raise DanluError(
                f"{self.folder}/config.json has no model_type, by which transformers knows an architecture",
                hint="name a checkpoint that transformers' AutoModel opens",
            )
        return {name: value for name, value in config.items() if name not in ("auto_map", "transformers_version")}

    @property
    def weights(self) -> tuple[Path, ...]:
        """The files of its weights, in order; none where it has only an architecture.

        Raises:
            DanluError: they are pickled: to read such a file may run a program. The hint says how to convert it.
        """
        whole = self.folder / "model.safetensors"
        found = (whole,) if whole.is_file() else tuple(sorted(self.folder.glob("model-*-of-*.safetensors")))
        if found:
            return found
        pickled = sorted(file.name for pattern in _PICKLED for file in self.folder.glob(pattern))
        if pickled and pickled != ["training_args.bin"]:
            raise DanluError(
                f"{self.folder} has its weights in {pickled[0]}, a pickle, which can run any program when it is read; "
                "only safetensors are read",
                hint=CONVERT.replace("FILE", pickled[0]),
            )
        others = sorted(file.name for file in self.folder.glob("*.safetensors"))
        if others:
            message = f"{self.folder} has weights in {', '.join(others)}, but no model.safetensors"
            raise DanluError(message, hint="give the file that name")
        return ()

    @property
    def hash(self) -> str:
        """SHA-256 over its weights' files; "" where it has none. Raises DanluError where they are pickled."""
        hashes = [_hash(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in self.weights]
        return fingerprint(hashes) if hashes else ""

    @property
    def processor(self) -> dict[str, Any]:
        """What its pictures or sounds are brought to; nothing where it does not say."""
        found = self._read("preprocessor_config.json")
        if found is None and (whole := self._read("processor_config.json")) is not None:
            return dict(whole.get("image_processor") or whole.get("feature_extractor") or {})
        return found or {}

    @property
    def licence(self) -> str | None:
        """As the head of its README states it."""
        readme = self.folder / "README.md"
        found = _LICENCE.match(readme.read_text("utf-8", "replace")) if readme.is_file() else None
        return found.group(1).strip("\"'") if found else None

    def tokenizer_settings(self) -> dict[str, Any]:
        """`tokenizer_config.json`; nothing where there is none."""
        return self._read("tokenizer_config.json") or {}

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.folder / name
        if not file.is_file():
            return None
        try:
            value = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise DanluError(f"{file} is no JSON: {error}", hint="copy the checkpoint again") from error
        if not isinstance(value, dict):
            raise DanluError(f"{file} holds no mapping", hint="copy the checkpoint again")
        return value


@cache
def _hash(file: str, changed: int, size: int) -> str:
    """SHA-256 of a file, read once for each time it changed."""
    return hash_file(Path(file))


def found_checkpoint(given: str, place: str) -> Checkpoint:
    """The checkpoint of a folder, or of a name on the hub, which is fetched unless it was before.

    Args:
        given: as a recipe has it; a relative path begins at the current folder.
        place: of the encoder in the recipe, for faults.

    Raises:
        RecipeError: there is none.
    """
    folder = Path(given).expanduser()
    if not folder.exists() and _HUB_ID.match(given):
        folder = _fetched(given, place)
    if folder.is_file():
        raise _fault(place, f"is {given}, a file", "name the folder it lies in")
    if not folder.is_dir():
        raise _fault(place, f"is {given}: there is no such folder", "name a folder, or a model on the hub: OWNER/NAME")
    if not (folder / "config.json").is_file():
        hint = "name a folder in the Hugging Face layout"
        raise _fault(place, f"is {given}, and there is no config.json in it", hint)
    checkpoint = Checkpoint(folder.resolve().name if folder == Path(given).expanduser() else given, folder)
    try:
        _ = checkpoint.config, checkpoint.weights
    except DanluError as error:
        raise _fault(place, f"is {given}: {error.message}", error.hint) from error
    return checkpoint


def _fetched(name: str, place: str) -> Path:
    """The folder of a model on the hub: fetched before, or now."""
    from danlu.base.devices import need

    hub = need("huggingface_hub", "pretrained")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=_WANTED, local_files_only=True))
    except (hub.errors.LocalEntryNotFoundError, hub.errors.HFValidationError):
        pass
    try:
        return Path(hub.snapshot_download(name, allow_patterns=_WANTED))
    except Exception as error:  # of several HTTP libraries, with no common base
        message = f"is {name}: there is no such folder, and from the hub it cannot be fetched: {_first_line(error)}"
        hint = "name a folder that holds the checkpoint, or fetch it where there is a network: hf download " + name
        raise _fault(place, message, hint) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _fault(place: str, message: str, hint: str) -> RecipeError:
    return RecipeError([Fault(path=f"{place}.checkpoint", message=message, hint=hint)])
