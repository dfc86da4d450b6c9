"""Each classic recipe beside the program that it stands for: plain PyTorch, as a textbook writes it.

    python benchmarks/classics.py [--mnist FOLDER] [--sst2 FOLDER --bert FOLDER] [--seeds 3] [NAME ...]

Both have the same rows (as Danlu encoded them), the same layers, loss, optimizer, batch and epochs; the program has
PyTorch's own start weights, no validation and no early stop. `--bert` is a checkpoint of that architecture in the
Hugging Face layout, which both fine-tune on the sentences of `--sst2` (train.tsv.gz, dev.tsv.gz, test.tsv.gz); its
program is one of transformers. Results are JSON lines: accuracy on the test rows, and seconds of training. One thread
each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
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
        functional.cross_entropy,
    ),
    "mnist_dense": (
        lambda x: nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
        functional.cross_entropy,
    ),
    "mnist_cnn": (lambda x: convolutional(), functional.cross_entropy),
    "lstm_stack": (
        lambda x: Steps(3, attention=False),
        functional.cross_entropy,
    ),
    "lstm_attention": (
        lambda x: Steps(2, attention=True),
        functional.cross_entropy,
    ),
}


def rows_of(prepared: Any, part: str) -> tuple[Tensor, Tensor]:
    """A split's inputs and codes; pictures as (N, 1, H, W), standardised by all pixels of the training rows."""
    split = prepared.split(part)
    (name, array), *_ = split.inputs.items()
    values = torch.from_numpy(np.array(array))
    if name == "image_0":
        deviation, mean = torch.std_mean(torch.from_numpy(np.array(prepared.split("train").inputs[name])).float())
        values = (values.permute(0, 3, 1, 2).float() - mean) / deviation
    return values, torch.from_numpy(np.array(split.target)).long()


def program(name: str, prepared: Any, optimizer: dict[str, Any], batch: int, epochs: int) -> tuple[float, float]:
    """Accuracy on the test rows, and seconds of training."""
    values, target = rows_of(prepared, "train")
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
    values, target = rows_of(prepared, "test")
    with torch.no_grad():
        scores = torch.cat([network(part) for part in values.split(1000)])
    found = scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > 0).long()
    return float((found == target).float().mean()), seconds


def fine_tuned(folder: Path, lr: float, batch: int, epochs: int) -> tuple[float, float]:
    """BERT's program: accuracy on the test rows, and seconds of training.

    Args:
        folder: train.csv, test.csv and the checkpoint, `bert`.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    network = AutoModelForSequenceClassification.from_pretrained(folder / "bert", num_labels=2)
    texts, codes = {}, {}
    for part in ("train", "test"):
        rows = pl.read_csv(folder / f"{part}.csv")
        texts[part], codes[part] = rows["review"].to_list(), torch.tensor(rows["sentiment"].to_list())

    def scores(part: str, rows: Tensor) -> Tensor:
        chosen = [texts[part][row] for row in rows.tolist()]
        found: Tensor = network(**tokenizer(chosen, padding=True, truncation=True, return_tensors="pt")).logits
        return found

    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    num_steps = -(-len(codes["train"]) // batch) * epochs
    schedule = get_linear_schedule_with_warmup(optimizer, num_steps // 10, num_steps)
    network.train()
    start = time.perf_counter()
    for _ in range(epochs):
        for rows in torch.randperm(len(codes["train"])).split(batch):
            optimizer.zero_grad()
            functional.cross_entropy(scores("train", rows), codes["train"][rows]).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start
    network.eval()
    with torch.no_grad():
        found = torch.cat([scores("test", rows).argmax(1) for rows in torch.arange(len(codes["test"])).split(64)])
    return float((found == codes["test"]).float().mean()), seconds


def write_reviews(sst2: Path, bert: Path, folder: Path) -> Path:
    """BERT's recipe with its data and its checkpoint beside it; the recipe's place."""
    for part in ("train", "dev", "test"):
        names = ["review", "sentiment"]
        path = sst2 / f"{part}.tsv.gz"
        rows = pl.read_csv(path, separator="\t", quote_char=None, has_header=False, new_columns=names)
        rows.write_csv(folder / f"{part}.csv")
    (folder / "bert").symlink_to(bert.absolute())
    return Path(shutil.copy(RECIPES / "bert.yaml", folder))


def both(name: str, more: list[str], seed: int, sst2: Path | None, bert: Path | None) -> dict[str, float]:
    """A recipe and its program, with another split and other start weights for each seed."""
    with tempfile.TemporaryDirectory() as runs:
        path = RECIPES / f"{name}.yaml"
        if sst2 is not None and bert is not None and name == "bert":
            path = write_reviews(sst2, bert, Path(runs))
        recipe = read_recipe(path, [*more, f"seed={seed}"])
        result = run(recipe, root=Path(runs), progress=Quiet(), until="evaluate")
        assert result.prepared is not None
        assert result.trained is not None
        assert result.scores is not None
        train = recipe.train
        optimizer = {"name": train.optimizer.name, **train.optimizer.options}
        assert isinstance(train.batch_size, int)
        assert isinstance(train.epochs, int)
        torch.manual_seed(seed)
        if name == "bert":
            theirs, seconds = fine_tuned(Path(runs), optimizer["lr"], train.batch_size, train.epochs)
        else:
            theirs, seconds = program(name, result.prepared, optimizer, train.batch_size, train.epochs)
    own = float(result.trained.facts["seconds"])
    return {"danlu": result.scores.value("accuracy"), "program": theirs, "danlu_s": own, "program_s": seconds}


def main() -> None:
    """Run those that are named, or all that there are data for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PROGRAMS, "bert", []])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--sst2", type=Path)
    parser.add_argument("--bert", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.names or [*PROGRAMS, "bert"]:
        needed = {"mnist_dense": [asked.mnist], "mnist_cnn": [asked.mnist], "bert": [asked.sst2, asked.bert]}
        if None in needed.get(name, []):
            print(f"{name}: its folder is not given", file=sys.stderr)
            continue
        more = [f"data={asked.mnist.absolute()}"] if name.startswith("mnist") else []
        more += ["evaluate.baselines=[]", "compress.try=[]", "train.engine={threads: 1}"]
        found = [both(name, more, seed, asked.sst2, asked.bert) for seed in range(asked.seeds)]
        print(json.dumps({"name": name} | {key: [round(one[key], 4) for one in found] for key in found[0]}), flush=True)


if __name__ == "__main__":
    main()
