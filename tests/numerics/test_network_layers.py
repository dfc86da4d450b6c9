"""Layers and losses against their closed forms, in float64, with gradcheck."""

import numpy as np
import polars as pl
import pytest
import torch
from torch.autograd import gradcheck

from danlu.columns.column import fit_column
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.concat import ConcatFusion
from danlu.design.layers.convolution import Thinned, thinned
from danlu.design.layers.number_embedding import LinearEmbedding, PeriodicEmbedding
from danlu.design.layers.tokens import WrittenEmbedding
from danlu.design.network import Encoded
from danlu.evaluate.score import fitting, metric, score
from danlu.tasks.losses import default_loss
from danlu.tasks.task import Task, task_for

CLASS = {"missing": "drop", "unseen": "error"}
TASKS = {
    "binary": task_for(fit_column("y", "category", CLASS, pl.Series(["a", "b"]))),
    "multiclass": task_for(fit_column("y", "category", CLASS, pl.Series(["a", "b", "c"]))),
    "regression": task_for(
        fit_column("y", "number", {"missing": "drop", "indicator": False}, pl.Series([-1e3, 4.0, 5e3]))
    ),
}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]


def rows(task: Task, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and an encoded target."""
    random = np.random.default_rng(1)
    outputs = random.normal(size=(count, task.num_outputs))
    num_codes = task.target.fields[0].num_codes
    return outputs, random.integers(0, num_codes, count) if num_codes else random.normal(size=count)


def test_the_periodic_embedding_is_its_formula_and_has_its_gradient() -> None:
    torch.manual_seed(0)
    layer = PeriodicEmbedding(3, 4, num_frequencies=5, sigma=1.0).double()
    values = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    found = layer(values)
    for row in range(2):
        for column in range(3):
            waves = torch.cos(2 * torch.pi * (layer.frequency[column] * values[row, column] + layer.phase[column]))
            expected = torch.cat([values[row, column][None], waves @ layer.weight[column] + layer.bias[column]])
            torch.testing.assert_close(found[row, column], expected)
    assert gradcheck(layer, (values,))


def test_the_linear_embedding_is_its_formula_and_has_its_gradient() -> None:
    torch.manual_seed(0)
    layer = LinearEmbedding(3, 4).double()
    values = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    expected = torch.relu(torch.einsum("bs,se->bse", values, layer.weight) + layer.bias)
    torch.testing.assert_close(layer(values), expected)
    assert gradcheck(layer, (values,))


def test_tokens_that_are_not_there_do_not_count() -> None:
    values = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    alone = torch.randn(2, 5)
    joined = ConcatFusion([4, 5])([Encoded(values, mask), Encoded(alone)])
    torch.testing.assert_close(joined[0], torch.cat([values[0, :2].mean(dim=0), alone[0]]))
    torch.testing.assert_close(joined[1], torch.cat([values[1].mean(dim=0), alone[1]]))


def test_losses_are_their_formulas_with_and_without_class_weights(task: Task) -> None:
    outputs, encoded = rows(task)
    answers = task.answers(outputs)
    loss = default_loss(task).value
    given = (torch.from_numpy(outputs).requires_grad_(), torch.from_numpy(encoded))
    if answers.probabilities is None:
        assert loss(*given, None).item() == pytest.approx(((outputs[:, 0] - encoded) ** 2).mean())
    else:
        own = -np.log(answers.probabilities[np.arange(len(encoded)), encoded])
        assert loss(*given, None).item() == pytest.approx(own.mean())
        weights = np.linspace(0.5, 2, answers.probabilities.shape[1])
        expected = (own * weights[encoded]).sum() / weights[encoded].sum()
        assert loss(*given, torch.from_numpy(weights)).item() == pytest.approx(expected)
    assert gradcheck(lambda value: loss(value, given[1], None), (given[0],))


def test_answers_are_in_the_targets_own_terms(task: Task) -> None:
    outputs, encoded = rows(task)
    answers = task.answers(outputs)
    if answers.probabilities is None:
        expected = task.target.decode({"value": outputs[:, 0]}).to_numpy()
        np.testing.assert_allclose(answers.values, expected)
        np.testing.assert_allclose(task.truth(encoded), task.target.decode({"value": encoded}).to_numpy())
    else:
        np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)
        np.testing.assert_array_equal(answers.values, answers.probabilities.argmax(axis=1))
        np.testing.assert_array_equal(task.truth(encoded), encoded)


@pytest.mark.parametrize("by", [1e-6, 0.1, 1.0])
def test_outputs_moved_towards_the_truth_score_best_and_away_from_it_worst(task: Task, by: float) -> None:
    """The parity proof's bounds: nothing that differs by no more than `by` scores outside them."""
    outputs, encoded = rows(task)
    outputs[20:] = outputs[:20]  # equal rows, whose order the last bits decide
    names, truth = fitting(task), task.truth(encoded)
    amounts = np.full((len(outputs), 1), by)
    best = score(task, names, truth, task.answers(task.shifted(outputs, encoded, amounts)))
    worst = score(task, names, truth, task.answers(task.shifted(outputs, encoded, -amounts)))
    random = np.random.default_rng(2)
    for _ in range(20):
        moved = outputs + random.uniform(-by, by, outputs.shape)
        found = score(task, names, truth, task.answers(moved))
        # A wrong row that changes to another wrong class moves these two: the proof allows for such rows apart.
        for name in set(names) - ({"precision", "f1"} if task.name == "multiclass" else set()):
            low, high = sorted((worst[name], best[name]))
            assert low - 1e-12 <= found[name] <= high + 1e-12, name
            assert (best[name] >= worst[name]) == metric(name).greater_is_better or best[name] == worst[name]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_of_one_value_for_each_channel_is_normalised_by_the_running_figures(dtype: torch.dtype) -> None:
    layer = BatchNorm2d(3)
    layer(torch.randn(5, 3, 2, 2))
    before = {name: value.clone() for name, value in layer.named_buffers()}
    values = torch.randn(1, 3, 1, 1).to(dtype).requires_grad_()
    found = layer(values)
    mean, variance = before["running_mean"].view(1, 3, 1, 1), before["running_var"].view(1, 3, 1, 1)
    torch.testing.assert_close(found, ((values - mean) / (variance + layer.eps).sqrt()).to(dtype))
    found.sum().backward()
    assert values.grad is not None
    assert values.grad.abs().min() > 0
    for name, value in layer.named_buffers():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(("channels", "thin"), [(4, True), (16, False)])
def test_a_small_convolution_with_a_stride_has_the_outputs_and_gradients_of_its_formula(
    channels: int, thin: bool
) -> None:
    layer = torch.nn.Sequential(torch.nn.Conv2d(channels, 8, 1, 2))
    thinned(layer)
    assert isinstance(layer[0], Thinned) == thin
    values = torch.randn(3, channels, 7, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, bias = layer.parameters()
    found = layer(values)
    formula = torch.einsum("bchw,dc->bdhw", values[:, :, ::2, ::2], weight.flatten(1)) + bias.view(1, -1, 1, 1)
    torch.testing.assert_close(found, formula, rtol=1e-4, atol=1e-5)
    pull = torch.randn_like(found)
    own = torch.autograd.grad(found, [values, weight, bias], pull)
    torch.testing.assert_close(own, torch.autograd.grad(formula, [values, weight, bias], pull), rtol=1e-4, atol=1e-4)


def test_words_are_their_own_vector_and_those_of_how_they_are_written() -> None:
    parts = [(0, 0, 0), (0, 0, 0), (3, 7, 9), (3, 8, 4095)]
    layer = WrittenEmbedding(torch.nn.Embedding(4, 2), parts, std=1.0).double()
    unseen = 4 + (3 * 4096 + 8) * 4096 + 4095  # written as the word with the code 3
    values_BTD = layer(torch.tensor([[0, 1, 3, unseen]]))
    sum_D = layer.tables[0].weight[3] + layer.tables[1].weight[8] + layer.tables[2].weight[4095]
    expected_TD = [layer.own.weight[0], layer.own.weight[1], layer.own.weight[3] + sum_D, layer.own.weight[1] + sum_D]
    torch.testing.assert_close(values_BTD[0], torch.stack(expected_TD))
    assert layer.forgotten(torch.tensor([[0, 1, 3, unseen]])).tolist() == [[0, 1, unseen, unseen]]
