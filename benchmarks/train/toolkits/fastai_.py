"""fastai with its own Adam at the others' settings, without validation, recorder and bars."""

from __future__ import annotations

from functools import partial

from measured import measured

asked = measured()

import fastai
import torch
from fastai.callback.core import Callback, CancelValidException
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner, Recorder
from fastai.optimizer import Adam
from networks import answers, network, settle, tensors
from torch.utils.data import TensorDataset


class Timer(Callback):
    """Tells when epochs begin and end."""

    def before_train(self):
        asked.begin()

    def after_train(self):
        asked.end()

    def before_validate(self):
        raise CancelValidException


settle(asked)
loader = DataLoader(
    TensorDataset(*tensors(asked, "train")), bs=asked.case.batch_size, shuffle=True, num_workers=0, device="cpu"
)
module = network(asked.case)
adam = partial(Adam, mom=0.9, sqr_mom=0.999, eps=1e-8, wd=0.0)
learner = Learner(
    DataLoaders(loader, loader), module, loss_func=torch.nn.CrossEntropyLoss(), opt_func=adam, cbs=[Timer()]
)
learner.remove_cbs([Recorder])
with asked.fitting():
    learner.fit(asked.epochs, lr=1e-3)
asked.tell("fastai", fastai.__version__, answers(module, asked))
