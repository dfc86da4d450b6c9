"""Pre-trained checkpoints in a release: what is said of them, and how they are held: merged, without adapters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from danlu.base.files import write_bytes
from danlu.design.layers.lora import has_lora, merged
from danlu.design.trained import Trained


def released_network(trained: Trained, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The weights' file and the description that go into a bundle.

    Small matrices beside a checkpoint's own are added to these: what starts from the bundle sees a plain network.

    Args:
        trained: the network.
        folder: gets the file where anything is merged.

    Raises:
        StorageError: it cannot be written.
    """
    description = dict(trained.network.description)
    if not has_lora(trained.network):
        return trained.weights, description
    from safetensors.torch import save

    from danlu.train.weights.flat import plain_weights

    file = folder / "merged.safetensors"
    write_bytes(file, save(plain_weights(merged(trained.network))))
    return file, _without_adapters(description)


def _without_adapters(description: Mapping[str, Any]) -> dict[str, Any]:
    if "member" in description:
        return {**description, "member": _without_adapters(description["member"])}
    plain = dict.fromkeys(("lora_rank", "lora_alpha", "lora_dropout", "lora_targets"))
    encoders = [{**one, "tune": "full", **plain} if _is_lora(one) else one for one in description["encoders"]]
    return {**description, "encoders": encoders}


def _is_lora(part: Mapping[str, Any]) -> bool:
    return bool(part["name"] == "pretrained" and part["tune"] == "lora")


def checkpoint_facts(description: Mapping[str, Any]) -> dict[str, str]:
    """What a card says of the checkpoints: label → name, licence as the checkpoint states it, and hash."""
    found = {}
    for part in _pretrained(description):
        licence = part["licence"] or "its licence is not stated"
        weights = f"SHA-256 of the weights {part['weights']}" if part["weights"] else "no weights"
        found[f"checkpoint of {part['columns'][0]}"] = f"{part['checkpoint']}, {licence}, {weights}"
    return found


def _pretrained(description: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "member" in description:
        yield from _pretrained(description["member"])
    else:
        yield from (one for one in description["encoders"] if one["name"] == "pretrained")
