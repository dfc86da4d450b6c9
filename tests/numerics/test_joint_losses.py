"""Losses of sets, tags and quantiles against torch's own and their formulas, with their gradients."""

from typing import cast

import numpy as np
import polars as pl
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from danlu.columns.column import fit_column
from danlu.design.layers.rising import Rising
from danlu.design.layers.towers import UnitVectors
from danlu.tasks.joint_losses import BinaryCrossEntropy, InfoNce, TagCrossEntropy
from danlu.tasks.losses import Loss, Quantile, row_weights
from danlu.tasks.task import task_for

generator = torch.Generator().manual_seed(0)
LOGITS = torch.randn(5, 3, generator=generator).double()
LABELS = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]]).float()
TOKENS = torch.randn(3, 4, 3, generator=generator).double()
TAGS = torch.tensor([[0, 2, 1, 0], [1, 1, -1, -1], [2, -2, -1, -1]])
NOTHING = torch.zeros(4)
WEIGHTS = torch.tensor([0.5, 1.0, 3.0]).double()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_set_is_the_mean_over_rows_and_labels(weights: torch.Tensor | None) -> None:
    loss = BinaryCrossEntropy()
    p = LOGITS.sigmoid()
    own = torch.ones(3) if weights is None else weights
    expected = -(own * LABELS * p.log() + (1 - LABELS) * (1 - p).log()).mean()
    torch.testing.assert_close(loss.value(LOGITS, LABELS, weights), expected)
    torch.testing.assert_close(loss.value(LOGITS, LABELS, weights, "sum") / 5, expected)
    assert gradcheck(lambda x: loss.value(x, LABELS, weights), (LOGITS.clone().requires_grad_(),))
    assert row_weights(loss, WEIGHTS) is None, "a row counts as one"


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_tags_count_alike_and_padding_and_unseen_tags_for_nothing(weights: torch.Tensor | None) -> None:
    loss = TagCrossEntropy(row_tokens=7 / 3)
    log_p, own = TOKENS.log_softmax(2), torch.ones(3) if weights is None else weights
    known = [(row, step, int(tag)) for row, tags in enumerate(TAGS) for step, tag in enumerate(tags) if tag >= 0]
    total = -sum(own[tag] * log_p[row, step, tag] for row, step, tag in known)
    torch.testing.assert_close(loss.value(TOKENS, TAGS, weights), total / 3 / (7 / 3))
    torch.testing.assert_close(loss.value(TOKENS, TAGS, weights, "sum"), total / (7 / 3))
    assert gradcheck(lambda x: loss.value(x, TAGS, weights), (TOKENS.clone().requires_grad_(),))
    short = loss.value(TOKENS[1:, :2], TAGS[1:], weights)
    torch.testing.assert_close(short, loss.value(TOKENS[1:], TAGS[1:], weights), msg="what is cut off is padding")


def test_several_quantiles_are_the_mean_of_each_by_itself() -> None:
    levels, numbers = (0.1, 0.5, 0.9), torch.randn(5, generator=generator).double()
    loss = Quantile(quantiles=levels)
    alone = [Quantile(quantile=one).value(LOGITS[:, place, None], numbers, None) for place, one in enumerate(levels)]
    expected = cast("torch.Tensor", sum(alone)) / 3
    torch.testing.assert_close(loss.value(LOGITS, numbers, None), expected)
    torch.testing.assert_close(loss.value(LOGITS, numbers, None, "sum") / 5, expected)


def test_a_loss_learns_from_the_target_what_it_needs() -> None:
    numbers = fit_column("y", "number", {"quantiles": [0.1, 0.9]}, pl.Series([1.0, 2.0, 3.0]))
    found: Loss = Quantile().for_task(task_for(numbers))
    assert cast("Quantile", found).quantiles == (0.1, 0.9)
    tags = fit_column("y", "tags", {}, pl.Series([["O"], ["B-A", "I-A", "O"]]))
    assert TagCrossEntropy().for_task(task_for(tags)).row_tokens == 2.0


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_rising_numbers_rise_and_are_sums_of_steps(count: int) -> None:
    module, given = Rising(count).double(), 3 * torch.randn(6, count, generator=generator).double()
    found = module(given)
    middle, steps = (count - 1) // 2, functional.softplus(given)
    assert (found.diff(dim=1) > 0).all()
    torch.testing.assert_close(found[:, middle], given[:, middle])
    for place in range(count):
        own = steps[:, middle + 1 : place + 1].sum(1) - steps[:, place:middle].sum(1)
        torch.testing.assert_close(found[:, place], given[:, middle] + own)
    assert np.isfinite(found.numpy()).all()


def test_info_nce_finds_partners_among_all_of_a_batch() -> None:
    loss, vectors = InfoNce(), torch.randn(4, 2, 3, generator=generator).double()
    products = vectors[:, 0] @ vectors[:, 1].T
    expected = -(products.log_softmax(1).diagonal() + products.log_softmax(0).diagonal()).mean() / 2
    torch.testing.assert_close(loss.value(vectors, NOTHING, None), expected)
    torch.testing.assert_close(loss.value(vectors, NOTHING, None, "sum") / 4, expected)
    assert gradcheck(lambda x: loss.value(x, NOTHING, None), (vectors.requires_grad_(),))


def test_unit_vectors_have_the_temperature_in_their_products() -> None:
    found = UnitVectors(0.25)(torch.randn(4, 2, 3, generator=generator))
    torch.testing.assert_close(found.square().sum(-1), torch.full((4, 2), 4.0))
