"""The plain eager loop that a person would write: tensors in memory, batches by index, torch.optim.Adam."""

from __future__ import annotations

from measured import measured

asked = measured()

import torch
from networks import answers, network, settle, tensors

settle(asked)
inputs, classes = tensors(asked, "train")
module = network(asked.case)
optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
loss_of = torch.nn.CrossEntropyLoss()
module.train()
with asked.fitting():
    for _ in range(asked.epochs):
        asked.begin()
        total = 0.0
        for rows in torch.randperm(len(inputs)).split(asked.case.batch_size):
            optimizer.zero_grad()
            loss = loss_of(module(inputs[rows]), classes[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()
        asked.end()
asked.tell("bare", torch.__version__, answers(module, asked))
