"""What training hands on. It stands here, above `evaluate`, `train` and `compress`, since all of them speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danlu.design.network import Network
from danlu.prepare.prepared import Finding


@dataclass(frozen=True)
class Trained:
    """The value that `train` returns.

    Attributes:
        network: with the best epoch's weights, in evaluation mode.
        weights: the file with those weights (safetensors).
        weights_hash: SHA-256 of that file.
        history: one mapping per epoch: `epoch`, `loss`, `validation_loss`, `lr`, and the validation metrics.
        best_epoch: the epoch the weights are of, from 0.
        fingerprint: of all that went in.
        facts: device, threads, precision, steps, seconds, rows per second.
        findings: what was noticed about the training.
    """

    network: Network
    weights: Path
    weights_hash: str
    history: tuple[Mapping[str, Any], ...]
    best_epoch: int
    fingerprint: str
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()
