"""A case as Danlu's recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cases import NUM_HEADS, Case


def recipe_of(case: Case, data: Path, *, epochs: int, seed: int = 0, engine: str = "") -> dict[str, Any]:
    """The recipe; `engine` is `train.engine`, where it is pinned."""
    layers = {"num_layers": len(case.widths), "width": case.widths[0]}
    encoder: dict[str, Any] = {
        "dense": {"name": "mlp", "numbers": "none", **layers},
        "cnn": {"name": "cnn", "channels": case.widths[0], "num_blocks": 2, "width": case.widths[-1], "norm": "none"},
        "lstm": {"name": "lstm", **layers},
        "transformer": {"name": "transformer", "num_heads": NUM_HEADS, **layers},
    }[case.network]
    columns: dict[str, Any] = {"label": "category"}
    if case.network == "dense":
        columns |= {f"x_{place}": {"type": "number", "scale": "none"} for place in range(case.shape[0])}
    else:
        columns[case.input] = {"type": "series", "scale": "none"} if case.network == "lstm" else case.input
    train: dict[str, Any] = {
        "optimizer": {"name": "adam", "lr": 1e-3},
        "schedule": "constant",
        "epochs": epochs,
        "batch_size": case.batch_size,
        "early_stop": None,
        "clip_norm": None,
        "augment": "none",
        "device": "cpu",
    }
    return {
        "name": case.name.lower(),
        "seed": seed,
        "data": {"source": str(data.resolve()), "target": "label", "columns": columns},
        "prepare": {"audit": False},
        "design": {"encoders": {"*": {**encoder, "dropout": 0.0}}},
        "train": {**train, **({"engine": engine} if engine else {})},
        "evaluate": {"metrics": ["accuracy"]},
    }
