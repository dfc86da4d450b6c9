"""The score card: what evaluation found, as one frozen value that goes to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from danlu.base.files import read_json

FORMAT = 1
CARD, MISTAKES, OUTPUTS = "scorecard.json", "mistakes.json", "outputs.safetensors"


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The value that `evaluate` returns.

    Attributes:
        task: binary, multiclass, regression or another of the catalogue's.
        main: the metric that counts most.
        metrics: split ("test", "validation") → metric → {"value", "low", "high"}; null where undefined.
        greater_is_better: metric → whether a larger value is a better one.
        rows: split → rows scored.
        intervals: {"resamples", "confidence", "method"} of the intervals.
        baselines: name → {"note", "rows" and "of" (training rows it saw, and there are), "seconds", "metrics": metric →
            {value, low, high} on the test split, "advantage": metric → {value, low, high} by which the network is
            better (below zero: worse), "verdict"}; metrics, advantage and verdict are null where the baseline could not
            be made.
        confusion: see `confusion`, of the test split; None for what is not one of several classes.
        calibration: see `calibration`, of the test split; None likewise.
        residuals: see `residuals`, of the test split; None for what is no number.
        details: see `details`, of the test split; none for classes and numbers.
        members: of an ensemble, one mapping for each member: metric → value on the test split; None for one network.
        mistakes: see `mistakes`, of the test split; they hold the data's own rows and so stay out of the card's JSON.
        fingerprint: of all that went in.
        outputs: a safetensors file with the network's outputs, "test" and "validation", (N, *output_shape) float32.
    """

    task: str
    main: str
    metrics: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    greater_is_better: Mapping[str, bool]
    rows: Mapping[str, int]
    intervals: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any]]
    confusion: Mapping[str, Any] | None
    calibration: Mapping[str, Any] | None
    residuals: Mapping[str, Any] | None
    details: tuple[Mapping[str, Any], ...] = ()
    members: tuple[Mapping[str, float | None], ...] | None = None
    mistakes: tuple[Mapping[str, Any], ...] = field(default=())
    fingerprint: str
    outputs: Path

    def to_json(self) -> dict[str, Any]:
        """As `evaluate/scorecard.json` holds it: all but the mistakes; `outputs` as the file's name."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "mistakes"}
        return {"format": FORMAT, **values, "outputs": self.outputs.name}

    @classmethod
    def load(cls, folder: Path) -> Scores:
        """The score card in a run's folder `evaluate`. Raises DanluError where a file is absent or damaged."""
        values = read_json(folder / CARD)
        known = {item.name for item in fields(cls)}
        own = {name: value for name, value in values.items() if name in known}
        return cls(**{**own, "outputs": folder / values["outputs"], "mistakes": tuple(read_json(folder / MISTAKES))})

    def value(self, metric: str, split: str = "test") -> float:
        """One metric's value, NaN where undefined. Raises KeyError for one that was not scored."""
        found = self.metrics[split][metric]["value"]
        return float("nan") if found is None else found
