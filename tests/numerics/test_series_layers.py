"""Layers over series against their formulas, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from danlu.design.layers.batch_norm import BatchNorm2d, MaskedBatchNorm
from danlu.design.layers.convolution import Conv1d
from danlu.design.layers.pooling import AttentionPooling
from danlu.design.layers.recurrent import Recurrent

RANDOM = np.random.default_rng(7)
MASK = torch.arange(6) < torch.tensor([6, 2, 0, 5])[:, None]


def array(values: Tensor) -> np.ndarray:
    return np.asarray(values.detach().numpy())


def steps(*shape: int) -> Tensor:
    return torch.from_numpy(RANDOM.normal(size=shape))


def test_attention_pooling_is_a_weighted_mean_of_the_tokens_that_are_there() -> None:
    layer = AttentionPooling(3).double()
    torch.nn.init.normal_(layer.score.weight)
    values = steps(4, 6, 3)
    found = array(layer(values, MASK))
    w, b, u = array(layer.hidden.weight), array(layer.hidden.bias), array(layer.score.weight)[0]
    for row, count in enumerate((6, 2, 0, 5)):
        own = array(values)[row, :count]
        powers = np.exp(np.tanh(own @ w.T + b) @ u)
        wanted = (powers[:, None] * own).sum(axis=0) / powers.sum() if count else np.zeros(3)
        np.testing.assert_allclose(found[row], wanted, atol=1e-12)
    np.testing.assert_allclose(array(layer(values[:1], None)), found[:1], atol=1e-12)
    assert torch.autograd.gradcheck(lambda one: layer(one, MASK), (values.requires_grad_(),))


def test_attention_between_layers_is_added_to_the_first_ones_states() -> None:
    stack = Recurrent(3, 4, 2, attention=True).double()
    values = steps(4, 6, 3)
    first = stack.forwards[0](values)[0]
    between = first + stack.attentions[0](stack.norms[0](first), MASK)
    torch.testing.assert_close(stack(values, MASK), stack.forwards[1](between)[0])


def test_gated_units_and_plain_ones_are_their_recurrence() -> None:
    values = array(steps(5, 3))
    for cell in ("gru", "rnn"):
        stack = Recurrent(3, 4, 1, cell=cell).double()  # type: ignore[arg-type]
        torch.nn.init.normal_(stack.layers.bias_hh_l0)
        w, u, b, c = (array(one) for one in stack.layers.parameters())
        state, found = np.zeros(4), []
        for step in values:
            if cell == "rnn":
                state = np.tanh(w @ step + b + u @ state + c)
            else:
                mine, other = np.split(w @ step + b, 3), np.split(u @ state + c, 3)
                reset, keep = (1 / (1 + np.exp(-mine[gate] - other[gate])) for gate in (0, 1))
                state = (1 - keep) * np.tanh(mine[2] + reset * other[2]) + keep * state
            found.append(state)
        np.testing.assert_allclose(array(stack(torch.from_numpy(values)[None]))[0], found, atol=1e-12)


def test_a_masked_norm_is_the_norm_of_the_steps_that_are_there() -> None:
    masked, plain = MaskedBatchNorm(3).double(), BatchNorm2d(3).double()
    values, present = steps(4, 3, 6, 2), MASK[:, None, :, None].double()
    found = masked(values, present)
    there = values.permute(0, 2, 1, 3)[MASK].permute(1, 0, 2)[None]  # (1, C, steps, W)
    wanted = plain(there)
    torch.testing.assert_close(found.permute(0, 2, 1, 3)[MASK].permute(1, 0, 2)[None].float(), wanted.float())
    torch.testing.assert_close(masked.running_var, plain.running_var, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(masked.running_mean, plain.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(masked.eval()(values, present), plain.eval()(values), rtol=1e-5, atol=1e-6)


def test_workers_share_the_sums_of_a_masked_norm() -> None:
    whole, part = MaskedBatchNorm(3), MaskedBatchNorm(3)
    values, present = steps(4, 3, 6, 2).float(), MASK[:, None, :, None]
    part.add = lambda one: one.mul_(2)  # as if another worker had the same rows
    twice = whole(torch.cat([values, values]), torch.cat([present, present]))
    torch.testing.assert_close(part(values, present), twice[:4])


def test_a_batch_without_a_step_keeps_the_norm_as_it_was() -> None:
    norm = MaskedBatchNorm(3)
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    found = norm(torch.ones(2, 3, 6, 1), torch.zeros(2, 1, 6, 1))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(norm.running_mean, before)


@pytest.mark.parametrize(("causal", "dilation"), [(True, 1), (True, 3), (False, 1), (False, 2)])
def test_a_convolution_sees_zeros_outside_and_a_causal_one_no_later_step(causal: bool, dilation: int) -> None:
    layer = Conv1d(2, 3, 3, dilation=dilation, causal=causal).double()
    values = steps(1, 2, 7)
    weight, bias, plain = array(layer.weight), array(layer.bias), array(values)[0]
    offset = -2 * dilation if causal else -dilation
    for place in range(7):
        wanted = bias.copy()
        for number in range(3):
            at = place + offset + number * dilation
            if 0 <= at < 7:
                wanted += weight[:, :, number] @ plain[:, at]
        np.testing.assert_allclose(array(layer(values))[0, :, place], wanted, atol=1e-12)
