"""Dropout in one pass, in several, and of some rows only: the masks that torch would draw for all rows at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from danlu.design.layers.dropout import Dropout, Noise


def values(shape: tuple[int, ...], layout: str) -> Tensor:
    found = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    if layout == "turned":
        return found.transpose(0, 1).contiguous().transpose(0, 1)
    return found.contiguous(memory_format=torch.channels_last) if layout == "channels last" else found


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((12, 5), ""), ((12, 5, 3), ""), ((12, 5, 3), "turned"), ((12, 4, 3, 3), "channels last")],
    ids=str,
)
def test_passes_draw_what_torch_draws_for_the_whole_step(shape: tuple[int, ...], layout: str) -> None:
    step = values(shape, layout)
    torch.manual_seed(0)
    expected = [torch.nn.functional.dropout(step, 0.3) for _ in range(2)]
    after = torch.get_rng_state()
    layer, noise = Dropout(0.3), Noise()
    layer.noise = noise
    torch.manual_seed(0)
    noise.begin(12, None)
    found = []
    for start in (0, 4, 8):
        noise.begin_pass(start, start + 4)
        found.append([layer(step[start : start + 4]) for _ in range(2)])
    for call in range(2):
        assert torch.equal(torch.cat([one[call] for one in found]), expected[call])
    assert torch.equal(torch.get_rng_state(), after)


def test_a_worker_takes_the_masks_of_its_own_rows() -> None:
    step, own = values((12, 5), ""), torch.tensor([2, 3, 8, 9, 10])
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(step, 0.3)
    layer, noise = Dropout(0.3), Noise()
    layer.noise = noise
    torch.manual_seed(0)
    noise.begin(12, own)
    noise.begin_pass(0, 2)
    first = layer(step[own[:2]])
    noise.begin_pass(2, 5)
    assert torch.equal(torch.cat([first, layer(step[own[2:]])]), expected[own])


def test_in_evaluation_and_without_noise_it_is_torch_own() -> None:
    layer, step = Dropout(0.3), values((12, 5), "")
    assert torch.equal(layer.eval()(step), step)
    layer.noise = Noise()
    assert torch.equal(layer(step), step)
    layer.train()
    layer.noise = None
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(step, 0.3)
    torch.manual_seed(0)
    assert torch.equal(layer(step), expected)
