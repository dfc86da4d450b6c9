"""What is trained: each case's network, batch, epochs and rows, the same for every toolkit.

    python benchmarks/train/cases.py S1 rows.npz

Rows are NumPy arrays, made the same way each time: `x_train`, `y_train`, `x_validation`, …, `x_test`, `y_test`
(`image_train`, `series_train`, `tokens_train`, … where a row is no table's). Real ones come from the folder
`DANLU_DATA`; where MNIST is not there, scikit-learn's digits enlarged to its size stand in for it, and the results say
so. Every epoch is a whole number of batches. The validation rows are for those that score them after each epoch (Danlu,
AutoGluon); nobody trains on them.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("DANLU_DATA", Path(__file__).parents[3] / "shared" / "data"))
Rows = dict[str, tuple[np.ndarray, np.ndarray]]  # split → inputs, classes


class AbsentError(Exception):
    """Rows that are not on this machine."""


@dataclass(frozen=True)
class Case:
    """One network on one set of rows.

    Attributes:
        name: what it is called.
        network: which family of networks.
        shape: of one row as the network takes it.
        widths: units of the dense layers, channels of the convolutions, width of the recurrent layers or the blocks.
        num_classes: outputs. Where there are two, Danlu and scikit-learn have one logit instead: the same function.
        batch_size: rows of a step.
        epochs: passes over the rows; the first is timed apart.
        accuracy: of the test rows, that every toolkit must reach for its time to count.
        rows: makes them.
        about: a line for a reader.
    """

    name: str
    network: str
    shape: tuple[int, ...]
    widths: tuple[int, ...]
    num_classes: int
    batch_size: int
    epochs: int
    accuracy: float
    rows: Callable[[], tuple[Rows, str]]
    about: str

    @property
    def input(self) -> str:
        """What the rows' arrays are called, and what Danlu takes for the name of their column."""
        return {"dense": "x", "cnn": "image", "lstm": "series", "transformer": "tokens"}[self.network]


def small() -> tuple[Rows, str]:
    """Three numbers, two classes that no plane divides."""
    random = np.random.default_rng(1)
    inputs = random.normal(size=(8192 + 512 + 4096, 3)).astype(np.float32)
    score = np.sin(2 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2]
    classes = score + random.normal(0, 0.15, len(inputs)) > 0
    return cut(inputs, classes.astype(np.int64), 8192, 512), "seeded"


def mnist(train: int, *, flat: bool) -> tuple[Rows, str]:
    """Handwritten digits of 28 × 28: numbers 0 … 1 in a row, or grey pictures of bytes."""
    folder, validation, test = DATA / "mnist", 512, 2048
    if folder.exists():
        source = f"MNIST, the first {train:,} training and {test:,} test rows"
        known = idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[: train + validation]
        tested = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:test]
        labels = [idx(folder / f"{name}-labels-idx1-ubyte.gz", 8) for name in ("train", "t10k")]
        pictures, classes = np.concatenate([known, tested]), np.concatenate([labels[0][: len(known)], labels[1][:test]])
    else:
        source = "scikit-learn's digits enlarged to 28 × 28 and drawn again with noise (MNIST is not here)"
        pictures, classes = enlarged(train + validation + test)
    inputs = (pictures.reshape(-1, 784) / np.float32(255)).astype(np.float32) if flat else pictures
    return cut(inputs, classes.astype(np.int64), train, validation), source


def idx(path: Path, header: int) -> np.ndarray:
    """The bytes behind an idx file's header."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def enlarged(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 8 × 8 as 28 × 28: each pixel three times, two black at each edge. Test rows are others' pictures."""
    from sklearn.datasets import load_digits

    pictures, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(2).permutation(len(pictures))
    first = np.resize(order[:1300], count - 2048)
    rows = np.concatenate([first, np.resize(order[1300:], 2048)])
    large = np.pad(np.kron(pictures.reshape(-1, 8, 8)[rows], np.ones((1, 3, 3))), ((0, 0), (2, 2), (2, 2)))
    noisy = large * (255 / 16) + np.random.default_rng(3).normal(0, 20, large.shape)
    return noisy.clip(0, 255).astype(np.uint8), classes[rows]


def adult() -> tuple[Rows, str]:
    """Adult (census income): standardized numbers, a 0 or 1 for every category; the official test rows."""
    folder = DATA / "adult"
    if not folder.exists():
        raise AbsentError("Adult is not here: set DANLU_DATA to the folder of real datasets")
    (header, *known), (_, *tested) = (table_in(folder / f"adult_{name}.csv.gz") for name in ("train", "test"))
    parts = []
    for place in range(len(header) - 1):
        values = np.array([row[place] for row in known + tested])
        if header[place] in ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"):
            numbers = values.astype(np.float64)
            first = numbers[: len(known)]
            parts.append(((numbers - first.mean()) / first.std())[:, None])
        else:
            parts.append(values[:, None] == np.unique(values))
    inputs = np.concatenate(parts, axis=1).astype(np.float32)
    classes = np.array([row[-1] == ">50K" for row in known + tested]).astype(np.int64)
    return cut(inputs, classes, 32_000, len(known) - 32_000), "Adult, official split"


def table_in(path: Path) -> list[list[str]]:
    """A packed CSV's lines, cell by cell."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.reader(file))


def waves() -> tuple[Rows, str]:
    """Series of 64 channels over 100 times: each class bends them its own way, shifted in time and with noise."""
    random = np.random.default_rng(4)
    shapes = random.normal(size=(10, 130, 64)).cumsum(1)
    shapes = (shapes - shapes.mean(1, keepdims=True)) / shapes.std(1, keepdims=True)
    classes = random.integers(0, 10, 640 + 64 + 640)
    starts = random.integers(0, 30, len(classes))
    inputs = np.stack([shapes[one, at : at + 100] for one, at in zip(classes, starts, strict=True)])
    inputs += random.normal(0, 4.0, inputs.shape)
    return cut(inputs.astype(np.float32), classes, 640, 64), "seeded"


def tokens() -> tuple[Rows, str]:
    """Sequences of 64 tokens out of 256: each class has its own chances of what follows what."""
    random = np.random.default_rng(5)
    classes = random.integers(0, 10, 1200 + 120 + 1200)
    follows = random.integers(0, 256, (10, 256, 4))
    inputs = np.empty((len(classes), 64), np.int64)
    inputs[:, 0] = random.integers(0, 256, len(classes))
    for place in range(1, 64):
        drawn = follows[classes, inputs[:, place - 1], random.integers(0, 4, len(classes))]
        inputs[:, place] = np.where(random.random(len(classes)) < 0.5, drawn, random.integers(0, 256, len(classes)))
        marked = random.random(len(classes)) < 0.3
        inputs[marked, place] = (classes * 25 + random.integers(0, 25, len(classes)))[marked]
    return cut(inputs, classes, 1200, 120), "seeded"


def cut(inputs: np.ndarray, classes: np.ndarray, train: int, validation: int) -> Rows:
    """The first rows train, the next validate, the last test."""
    ends = {"train": (0, train), "validation": (train, train + validation), "test": (train + validation, len(inputs))}
    return {name: (inputs[start:stop], classes[start:stop]) for name, (start, stop) in ends.items()}


NUM_TOKENS = 256
NUM_HEADS = 4
CASES = {
    case.name: case
    for case in (
        Case("S1", "dense", (3,), (64, 64), 2, 32, 12, 0.90, small, "3-64-64-2, batch 32"),
        Case("S4", "dense", (784,), (128,), 10, 32, 4, 0.90, partial(mnist, 12_800, flat=True), "784-128-10, batch 32"),
        Case("Adult", "dense", (108,), (256, 256), 2, 256, 4, 0.84, adult, "108-256-256-2, batch 256"),
        Case("S3a", "cnn", (28, 28), (32, 64, 128), 10, 32, 3, 0.90, partial(mnist, 3_200, flat=False),
             "conv 32 – pool – conv 64 – pool – 128 – 10 on 28 × 28, batch 32"),
        Case("S3b", "lstm", (100, 64), (128,) * 3, 10, 32, 3, 0.90, waves, "three LSTM(128) on (100, 64), batch 32"),
        Case("Transformer", "transformer", (64,), (128,) * 4, 10, 12, 3, 0.90, tokens,
             "4 blocks, 4 heads, width 128, 64 tokens, batch 12"),
    )
}  # fmt: skip


def write(case: Case, path: Path) -> str:
    """Write a case's rows; gives their source. Raises AbsentError."""
    rows, source = case.rows()
    arrays = {}
    for split, (inputs, classes) in rows.items():
        arrays |= {f"{case.input}_{split}": inputs, f"y_{split}": classes}
        assert inputs.shape[1:] == case.shape
    assert len(rows["train"][0]) % case.batch_size == 0
    np.savez(path, **arrays)
    return source


if __name__ == "__main__":
    print(write(CASES[sys.argv[1]], Path(sys.argv[2])))
