"""AutoGluon's NN_TORCH: its own network of the same layers on a table.

It has no callback for epochs: the method that trains and the one that validates after every epoch are wrapped, and what
lies between is timed. It ends with the best epoch's weights.
"""

from __future__ import annotations

import tempfile

from measured import measured

asked = measured()

import numpy as np
import pandas as pd
import torch
from autogluon.tabular import TabularPredictor
from autogluon.tabular.models.tabular_nn.torch.tabular_nn_torch import TabularNeuralNetTorchModel as Model
from autogluon.tabular.version import __version__

train_net, score = Model._train_net, Model.score


def timed_train_net(self, *args, **kwargs):
    """The first epoch begins."""
    asked.begin()
    return train_net(self, *args, **kwargs)


def timed_score(self, *args, **kwargs):
    """An epoch has ended, and the next begins; scores that follow the last are none of training."""
    if len(asked.spans) < asked.epochs:
        asked.end()
    found = score(self, *args, **kwargs)
    asked.begin()
    return found


Model._train_net, Model.score = timed_train_net, timed_score


def frame(split: str) -> pd.DataFrame:
    """A split as a table."""
    inputs = asked.inputs(split)
    columns = {f"x{place}": inputs[:, place] for place in range(inputs.shape[1])}
    return pd.DataFrame({**columns, "y": asked.classes(split)})


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
    "num_epochs": asked.epochs,
    "epochs_wo_improve": asked.epochs,
    "seed_value": asked.seed,
}
if asked.threads:
    torch.set_num_threads(asked.threads)
train, validation = frame("train"), frame("validation")
with tempfile.TemporaryDirectory() as folder:
    predictor = TabularPredictor("y", path=folder, verbosity=0)
    with asked.fitting():
        predictor.fit(
            train,
            tuning_data=validation,
            hyperparameters={"NN_TORCH": options},
            fit_weighted_ensemble=False,
            feature_generator=None,
            num_cpus=asked.threads or "auto",
        )
    assert len(asked.spans) == asked.epochs
    answers = predictor.predict(frame("test")).to_numpy().astype(np.int64)
asked.tell("AutoGluon NN_TORCH", __version__, answers)
