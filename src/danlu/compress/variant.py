"""What compression hands on: the measured candidates, fp32 first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One form of the trained network: its size, its speed and its scores, and whether it may be released.

    Attributes:
        name: "fp32", or the variant's name in the recipe.
        path: the ONNX file; None where it could not be made.
        size_mb: of that file, in 10⁶ bytes; None where there is none.
        latency_ms: median of one call of the network on one thread, columns being encoded before; None where not
            measured.
        scores: split ("validation", "test") → metric → value, NaN where undefined (null in JSON).
        agreement: against fp32 on the test split: share of rows with the same class, or R² of its numbers; None where
            not known.
        accepted: whether it may be released.
        reason: why, or why not, in words.
        outputs: safetensors file with its outputs, "validation" and "test", (N, K) float32.
    """

    name: str
    path: Path | None
    size_mb: float | None = None
    latency_ms: float | None = None
    scores: Mapping[str, Mapping[str, float]]
    agreement: float | None = None
    accepted: bool
    reason: str
    outputs: Path | None = None

    def to_json(self, folder: Path) -> dict[str, Any]:
        """JSON-able, with paths relative to the run's folder."""
        return {
            "name": self.name,
            "path": _relative(self.path, folder),
            "size_mb": self.size_mb,
            "latency_ms": self.latency_ms,
            "scores": {split: dict(values) for split, values in self.scores.items()},
            "agreement": self.agreement,
            "accepted": self.accepted,
            "reason": self.reason,
            "outputs": _relative(self.outputs, folder),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Variant:
        """The variant that `to_json` gave."""
        paths = {key: None if value[key] is None else folder / value[key] for key in ("path", "outputs")}
        scores = {
            split: {name: float("nan") if score is None else score for name, score in values.items()}
            for split, values in value["scores"].items()
        }
        return cls(**{**value, **paths, "scores": scores})


def _relative(path: Path | None, folder: Path) -> str | None:
    return None if path is None else str(path.relative_to(folder))


@dataclass(frozen=True)
class Variants:
    """The value that `compress` returns.

    Attributes:
        variants: every candidate, fp32 first.
        main: the metric that decides.
        fingerprint: of all that went in.
    """

    variants: tuple[Variant, ...]
    main: str
    fingerprint: str

    @property
    def fp32(self) -> Variant:
        """The one that nothing was taken from."""
        return self.variants[0]

    def find(self, name: str) -> Variant | None:
        """The variant of that name, if it was tried."""
        return next((variant for variant in self.variants if variant.name == name), None)

    def to_json(self, folder: Path) -> dict[str, Any]:
        """JSON-able, with paths relative to the run's folder."""
        return {
            "main": self.main,
            "fingerprint": self.fingerprint,
            "variants": [variant.to_json(folder) for variant in self.variants],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Variants:
        """The variants that `to_json` gave."""
        found = tuple(Variant.from_json(item, folder) for item in value["variants"])
        return cls(found, value["main"], value["fingerprint"])
