"""Every optimizer against torch's own, step by step."""

import pytest
import torch
from torch import nn

from danlu.train.flat import FlatParameters
from danlu.train.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd, segments

PAIRS = [
    (Sgd(lr=0.05, momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.05)),
    (
        Sgd(lr=0.05, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    ),
    (Sgd(lr=0.05, nesterov=True), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True)),
    (Adam(lr=0.01, weight_decay=0.1), lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1)),
    (AdamW(lr=0.01, betas=(0.8, 0.99)), lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.01)),
    (RmsProp(lr=0.01, weight_decay=0.1), lambda p: torch.optim.RMSprop(p, lr=0.01, weight_decay=0.1)),
    (RmsProp(lr=0.01, momentum=0.5), lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5)),
]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    # Bias-free: torch decays biases too, we do not (see the next test).
    return nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.Flatten(), nn.Linear(12, 4, bias=False))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[f"{type(a).__name__}-{i}" for i, (a, _) in enumerate(PAIRS)])
def test_twenty_steps_equal_torchs(ours: Optimizer, theirs: object) -> None:
    left, right = network(), network()
    flat = FlatParameters(left)
    slots = {name: torch.zeros_like(flat.values) for name in ours.slots}
    parts = segments(flat.values, flat.gradients, slots, flat.num_decayed)
    reference = theirs(right.parameters())  # type: ignore[operator]
    generator = torch.Generator().manual_seed(1)
    for count in range(1, 21):
        inputs = torch.randn(8, 2, 4, 4, generator=generator)
        flat.gradients.zero_()
        reference.zero_grad()
        left(inputs).square().mean().backward()
        right(inputs).square().mean().backward()
        with torch.no_grad():
            for part in parts:
                ours.step(part, ours.lr, count)
        reference.step()
    for a, b in zip(left.parameters(), right.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_biases_and_norms_are_not_decayed() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    nn.init.ones_(layers[0].bias)
    flat = FlatParameters(layers)
    optimizer = AdamW(lr=0.1, weight_decay=0.5)
    slots = {name: torch.zeros_like(flat.values) for name in optimizer.slots}
    weight = layers[0].weight.detach().clone()
    with torch.no_grad():
        for part in segments(flat.values, flat.gradients, slots, flat.num_decayed):
            optimizer.step(part, optimizer.lr, 1)
    torch.testing.assert_close(layers[0].weight, weight * 0.95)
    assert torch.equal(layers[0].bias, torch.ones(3))
    assert torch.equal(layers[1].weight, torch.ones(3))
