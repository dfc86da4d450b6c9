"""Lightning, without logging, checkpoints and bars."""

from __future__ import annotations

import logging
import warnings

from measured import measured

asked = measured()

import lightning
import torch
from networks import answers, network, settle, tensors
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Model(lightning.LightningModule):
    """The case's network and its loss."""

    def __init__(self):
        super().__init__()
        self.network = network(asked.case)
        self.loss_of = torch.nn.CrossEntropyLoss()

    def training_step(self, batch, index):
        inputs, classes = batch
        return self.loss_of(self.network(inputs), classes)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    def on_train_epoch_start(self):
        asked.begin()

    def on_train_epoch_end(self):
        asked.end()


settle(asked)
model = Model()
loader = DataLoader(TensorDataset(*tensors(asked, "train")), asked.case.batch_size, shuffle=True)
trainer = lightning.Trainer(
    accelerator="cpu",
    devices=1,
    max_epochs=asked.epochs,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
with asked.fitting():
    trainer.fit(model, loader)
asked.tell("Lightning", lightning.__version__, answers(model.network, asked))
