"""Hugging Face's Trainer, without logging and checkpoints."""

from __future__ import annotations

import tempfile

from measured import measured

asked = measured()

import torch
import transformers
from networks import answers, network, settle, tensors
from transformers import Trainer, TrainerCallback, TrainingArguments


class Model(torch.nn.Module):
    """The case's network with its loss, as Trainer takes it."""

    def __init__(self):
        super().__init__()
        self.network = network(asked.case)
        self.loss_of = torch.nn.CrossEntropyLoss()

    def forward(self, inputs, labels):
        logits = self.network(inputs)
        return {"loss": self.loss_of(logits, labels), "logits": logits}


class Rows(torch.utils.data.Dataset):
    """The training rows one by one."""

    def __init__(self):
        self.inputs, self.classes = tensors(asked, "train")

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, row):
        return {"inputs": self.inputs[row], "labels": self.classes[row]}


class Timer(TrainerCallback):
    """Tells when epochs begin and end."""

    def on_epoch_begin(self, args, state, control, **kwargs):
        asked.begin()

    def on_epoch_end(self, args, state, control, **kwargs):
        asked.end()


settle(asked)
model = Model()
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        per_device_train_batch_size=asked.case.batch_size,
        num_train_epochs=asked.epochs,
        use_cpu=True,
        max_grad_norm=0,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=asked.seed,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    trainer = Trainer(model, arguments, train_dataset=Rows(), optimizers=(optimizer, schedule), callbacks=[Timer()])
    trainer.remove_callback(transformers.PrinterCallback)
    with asked.fitting():
        trainer.train()
asked.tell("Trainer", transformers.__version__, answers(model.network, asked))
