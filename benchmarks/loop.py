"""Danlu's training loop beside the plain eager loop that a person would write: same network, rows and batches.

    python benchmarks/loop.py [--rounds 5]

Rounds alternate (A B A B …); each result is a JSON line with the median seconds per step of both and their ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from danlu.base.runs import Run
from danlu.design import Network, describe, design
from danlu.prepare import prepare
from danlu.prepare.prepared import Split
from danlu.recipe.reading import recipe_from
from danlu.recipe.schema import Recipe
from danlu.tasks.losses import default_loss
from danlu.train.batches import batches, row_order
from danlu.train.engine import engine_for
from danlu.train.plan import Plan, make_plan
from danlu.train.step import make_loop, settled

PLAIN = {"encoders": {"*": {"name": "mlp", "numbers": "none", "width": 64, "dropout": 0.0}}}
CASES: dict[str, tuple[str, str, int, dict[str, object]]] = {
    "breast_cancer plain 30-64-64-1 batch 32": ("sample:breast_cancer", "diagnosis", 32, PLAIN),
    "breast_cancer mlp batch 32": ("sample:breast_cancer", "diagnosis", 32, {}),
    "breast_cancer mlp batch 256": ("sample:breast_cancer", "diagnosis", 256, {}),
    "digits cnn batch 32": ("sample:digits", "label", 32, {}),
}
EPOCHS = 6


def bare(network: Network, split: Split, plan: Plan) -> float:
    """Seconds per step of the plain loop: tensors in memory, batches by index, torch.optim.AdamW."""
    inputs = {name: torch.from_numpy(np.array(array)) for name, array in split.inputs.items()}
    target = torch.from_numpy(np.array(split.target))
    loss_of = default_loss(network.task)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    network.train()
    steps, start = 0, time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(split.num_rows)
        for rows in order.split(plan.batch_size):
            optimizer.zero_grad()
            scores = network({name: value[rows] for name, value in inputs.items()})
            loss = loss_of.value(scores, target[rows], None)
            loss.backward()
            optimizer.step()
            loss.item()
            steps += 1
    return (time.perf_counter() - start) / steps


def ours(recipe: Recipe, network: Network, split: Split, plan: Plan) -> float:
    """Seconds per step of Danlu's loop."""
    engine = engine_for(recipe.train, network, plan)
    loop = make_loop(recipe, network, split, split, plan, engine, Path("nowhere"))
    with settled(engine):
        loop.start()
        network.train()
        steps, start = 0, time.perf_counter()
        for epoch in range(EPOCHS):
            order = row_order(split, seed=0, epoch=epoch, sampling="uniform")
            for batch in batches(split, order, step_rows=plan.step_rows):
                loop.step(batch)
                loop.position.count += 1
                steps += 1
        return (time.perf_counter() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for name, (source, target, batch_size, section) in CASES.items():
        sections = {"train": {"batch_size": batch_size, "epochs": EPOCHS}, "design": section}
        recipe = recipe_from({"data": source, "target": target, **sections})
        with tempfile.TemporaryDirectory() as folder:
            prepared = prepare(recipe, Run(Path(folder) / "run"))
            split = prepared.split("train")
            network = design(recipe, prepared.schema)
            plan = make_plan(recipe.train, describe(network), split.num_rows)
            torch.set_num_threads(1)
            found: dict[str, list[float]] = {"bare": [], "danlu": []}
            for _ in range(rounds + 1):
                found["bare"].append(bare(design(recipe, prepared.schema), split, plan))
                found["danlu"].append(ours(recipe, design(recipe, prepared.schema), split, plan))
        medians = {key: statistics.median(values[1:]) for key, values in found.items()}
        row = {"case": name, **{f"{key}_us": round(value * 1e6, 1) for key, value in medians.items()}}
        print(json.dumps({**row, "ratio": round(medians["danlu"] / medians["bare"], 3), "rounds": rounds}), flush=True)


if __name__ == "__main__":
    main()
