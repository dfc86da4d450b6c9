"""Each classic recipe beside the program that it stands for: plain PyTorch, as a textbook writes it.

    python benchmarks/classics.py [--mnist FOLDER] [--seeds 3] [NAME ...]

Both have the same rows (as Danlu encoded them), the same layers, loss, optimizer, batch and epochs; the program has
PyTorch's own start weights, no validation and no early stop. Results are JSON lines: accuracy on the test rows, and
seconds of training. One thread each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.base.progress import Quiet
from danlu.pipeline import run
from danlu.recipe.reading import read_recipe

RECIPES = Path(__file__).parent.parent / "recipes" / "classics"


class Steps(nn.Module):
    """LSTM layers, attention between them if asked, and a linear layer on the last state."""

    def __init__(self, num_layers: int, *, attention: bool) -> None:
        super().__init__()
        widths = [64, *[128] * num_layers]
        self.layers = nn.ModuleList(nn.LSTM(width, 128, batch_first=True) for width in widths[:-1])
        self.attention = nn.MultiheadAttention(128, 4, batch_first=True) if attention else None
        self.head = nn.Linear(128, 4)

    def forward(self, values: Tensor) -> Tensor:
        """(B, T, C) → (B, K)."""
        for place, layer in enumerate(self.layers):
            values = layer(values)[0]
            if self.attention is not None and place == 0:
                values = values + self.attention(values, values, values, need_weights=False)[0]
        scores: Tensor = self.head(values[:, -1])
        return scores


def mean_squared(scores: Tensor, target: Tensor) -> Tensor:
    """Of the probability of the second of two classes."""
    return ((torch.sigmoid(scores[:, 0]) - target) ** 2).mean()


def log_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Of two classes."""
    return functional.binary_cross_entropy_with_logits(scores[:, 0], target.float())


def convolutional() -> nn.Module:
    """32, pool, 64, pool, 128, 10."""
    first = (nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10))


# Name → the network for (N, …) inputs, and its loss.
PROGRAMS: dict[str, tuple[Callable[[Tensor], nn.Module], Callable[[Tensor, Tensor], Tensor]]] = {
    "logistic_mse": (lambda x: nn.Linear(x.shape[1], 1), mean_squared),
    "logistic_cross_entropy": (lambda x: nn.Linear(x.shape[1], 1), log_loss),
    "dense_64_64": (
        lambda x: nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)),
        lambda scores, target: functional.cross_entropy(scores, target),
    ),
    "mnist_dense": (
        lambda x: nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
        lambda scores, target: functional.cross_entropy(scores, target),
    ),
    "mnist_cnn": (lambda x: convolutional(), lambda scores, target: functional.cross_entropy(scores, target)),
    "lstm_stack": (
        lambda x: Steps(3, attention=False),
        lambda scores, target: functional.cross_entropy(scores, target),
    ),
    "lstm_attention": (
        lambda x: Steps(2, attention=True),
        lambda scores, target: functional.cross_entropy(scores, target),
    ),
}


def rows_of(split: Any) -> tuple[Tensor, Tensor]:
    """A split's inputs and codes; pictures as (N, 1, H, W) between 0 and 1."""
    (name, array), *_ = split.inputs.items()
    values = torch.from_numpy(np.array(array))
    if name == "image_0":
        values = values.permute(0, 3, 1, 2).float() / 255
    return values, torch.from_numpy(np.array(split.target)).long()


def program(name: str, prepared: Any, optimizer: dict[str, Any], batch: int, epochs: int) -> tuple[float, float]:
    """Accuracy on the test rows, and seconds of training."""
    values, target = rows_of(prepared.split("train"))
    make, loss_of = PROGRAMS[name]
    network = make(values)
    kind = torch.optim.SGD if optimizer["name"] == "sgd" else torch.optim.Adam
    stepping = kind(network.parameters(), lr=optimizer["lr"])
    start = time.perf_counter()
    for _ in range(epochs):
        for rows in torch.randperm(len(values)).split(batch):
            stepping.zero_grad()
            loss_of(network(values[rows]), target[rows]).backward()  # type: ignore[no-untyped-call]
            stepping.step()
    seconds = time.perf_counter() - start
    values, target = rows_of(prepared.split("test"))
    with torch.no_grad():
        scores = torch.cat([network(part) for part in values.split(1000)])
    found = scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > 0).long()
    return float((found == target).float().mean()), seconds


def both(name: str, more: list[str], seed: int) -> dict[str, float]:
    """A recipe and its program, with another split and other start weights for each seed."""
    recipe = read_recipe(RECIPES / f"{name}.yaml", [*more, f"seed={seed}"])
    with tempfile.TemporaryDirectory() as runs:
        result = run(recipe, root=Path(runs), progress=Quiet(), until="evaluate")
        assert result.prepared is not None
        assert result.trained is not None
        assert result.scores is not None
        train = recipe.train
        optimizer = {"name": train.optimizer.name, **train.optimizer.options}
        assert isinstance(train.batch_size, int)
        assert isinstance(train.epochs, int)
        torch.manual_seed(seed)
        theirs, seconds = program(name, result.prepared, optimizer, train.batch_size, train.epochs)
    own = float(result.trained.facts["seconds"])
    return {"danlu": result.scores.value("accuracy"), "program": theirs, "danlu_s": own, "program_s": seconds}


def main() -> None:
    """Run those that are named, or all that there are data for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PROGRAMS, []])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.names or PROGRAMS:
        if name.startswith("mnist") and asked.mnist is None:
            continue
        more = [f"data={asked.mnist.absolute()}"] if name.startswith("mnist") else []
        more += ["evaluate.baselines=[]", "compress.try=[]", "train.engine={threads: 1}"]
        found = [both(name, more, seed) for seed in range(asked.seeds)]
        print(json.dumps({"name": name} | {key: [round(one[key], 4) for one in found] for key in found[0]}), flush=True)


if __name__ == "__main__":
    main()
