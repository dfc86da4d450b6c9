"""skorch, without its validation split."""

from __future__ import annotations

from measured import measured

asked = measured()

import skorch
import torch
from networks import answers, network, settle, tensors
from skorch.callbacks import Callback


class Timer(Callback):
    """Tells when epochs begin and end."""

    def on_epoch_begin(self, net, **kwargs):
        asked.begin()

    def on_epoch_end(self, net, **kwargs):
        asked.end()


settle(asked)
inputs, classes = tensors(asked, "train")
net = skorch.NeuralNetClassifier(
    network(asked.case),
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    batch_size=asked.case.batch_size,
    max_epochs=asked.epochs,
    iterator_train__shuffle=True,
    train_split=None,
    callbacks=[Timer()],
    verbose=0,
)
with asked.fitting():
    net.fit(inputs, classes)
asked.tell("skorch", skorch.__version__, answers(net.module_, asked))
