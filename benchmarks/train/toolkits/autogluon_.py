"""AutoGluon's NN_TORCH: its own network of the same layers on a table, which it validates after every epoch.

It has no hook for epochs: it is fitted for one epoch (once to warm up) and for all, and the difference is timed.
"""

from __future__ import annotations

import tempfile
import time

from measured import measured

asked = measured()

import numpy as np
import pandas as pd
import torch
from autogluon.tabular import TabularPredictor
from autogluon.tabular.version import __version__


def frame(split: str) -> pd.DataFrame:
    """A split as a table."""
    inputs = asked.inputs(split)
    columns = {f"x{place}": inputs[:, place] for place in range(inputs.shape[1])}
    return pd.DataFrame({**columns, "y": asked.classes(split)})


def fit(epochs: int, folder: str) -> tuple[TabularPredictor, float]:
    """The predictor of so many epochs, and the seconds of `fit`."""
    options = {
        "num_layers": len(asked.case.widths),
        "hidden_size": asked.case.widths[0],
        "activation": "relu",
        "dropout_prob": 0.0,
        "use_batchnorm": False,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "batch_size": asked.case.batch_size,
        "max_batch_size": asked.case.batch_size,
        "num_epochs": epochs,
        "epochs_wo_improve": epochs,
        "seed_value": asked.seed,
    }
    predictor = TabularPredictor("y", path=folder, verbosity=0)
    start = time.perf_counter()
    predictor.fit(
        train,
        tuning_data=validation,
        hyperparameters={"NN_TORCH": options},
        fit_weighted_ensemble=False,
        feature_generator=None,
        num_cpus=asked.threads or "auto",
    )
    return predictor, time.perf_counter() - start


if asked.threads:
    torch.set_num_threads(asked.threads)
train, validation = frame("train"), frame("validation")
with tempfile.TemporaryDirectory() as folder:
    first = [fit(1, f"{folder}/{name}")[1] for name in ("warm-up", "first")][1]
    predictor, asked.fit_s = fit(asked.epochs, f"{folder}/all")
    epoch = (asked.fit_s - first) / (asked.epochs - 1)
    asked.spans = [asked.fit_s - epoch * (asked.epochs - 1)] + [epoch] * (asked.epochs - 1)
    answers = predictor.predict(frame("test")).to_numpy().astype(np.int64)
asked.tell("AutoGluon NN_TORCH", __version__, answers)
