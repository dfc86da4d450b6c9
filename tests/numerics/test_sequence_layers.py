"""LSTM and attention against their formulas in NumPy, in float64; padding, precision, causality."""

from __future__ import annotations

from math import erf

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from danlu.columns.column import Field
from danlu.columns.schema import Slot
from danlu.design.encoders.lstm import Lstm
from danlu.design.encoders.transformer import Transformer
from danlu.design.layers.attention import Attention, Rotary
from danlu.design.layers.pooling import first_token, last_token, mean_tokens
from danlu.design.layers.recurrent import Recurrent
from danlu.design.layers.transformer_block import TransformerBlock

RANDOM = np.random.default_rng(0)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))


def array(parameter: Tensor) -> np.ndarray:
    return np.asarray(parameter.detach().numpy())


def recurrence(layer: nn.LSTM, steps: np.ndarray) -> np.ndarray:
    """(T, C) → (T, D), one step after the other."""
    w, u = array(layer.weight_ih_l0), array(layer.weight_hh_l0)
    bias = array(layer.bias_ih_l0) + array(layer.bias_hh_l0)
    width = u.shape[1]
    state, cell, found = np.zeros(width), np.zeros(width), []
    for step in steps:
        i, f, g, o = np.split(w @ step + u @ state + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        found.append(state)
    return np.array(found)


def test_one_direction_is_the_recurrence() -> None:
    stack = Recurrent(3, 5, 1, dropout=0.0, bidirectional=False).double()
    steps = RANDOM.normal(size=(2, 7, 3))
    found = stack(torch.from_numpy(steps))
    for row in range(2):
        np.testing.assert_allclose(array(found[row]), recurrence(stack.layers, steps[row]), atol=1e-12)


def test_two_directions_are_the_recurrence_both_ways_and_layers_follow_each_other() -> None:
    stack = Recurrent(3, 5, 2, dropout=0.0, bidirectional=True).double()
    steps = RANDOM.normal(size=(7, 3))
    values = steps
    for ahead, back in zip(stack.forwards, stack.backwards, strict=True):
        values = np.concatenate([recurrence(ahead, values), recurrence(back, values[::-1])[::-1]], axis=1)  # type: ignore[arg-type]
    found = stack(torch.from_numpy(steps)[None])
    np.testing.assert_allclose(array(found[0]), values, atol=1e-12)
    last = stack.last(found, None)
    np.testing.assert_allclose(array(last[0]), np.concatenate([values[-1, :5], values[0, 5:]]), atol=1e-12)


def test_two_directions_are_torchs_own() -> None:
    stack = Recurrent(3, 5, 2, dropout=0.0, bidirectional=True).double()
    other = nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True).double()
    for layer, (ahead, back) in enumerate(zip(stack.forwards, stack.backwards, strict=True)):
        for part, ending in ((ahead, ""), (back, "_reverse")):
            for name, parameter in part.named_parameters():
                getattr(other, name.replace("_l0", f"_l{layer}{ending}")).data.copy_(parameter)
    steps = torch.from_numpy(RANDOM.normal(size=(4, 6, 3)))
    torch.testing.assert_close(stack(steps), other(steps)[0], rtol=0, atol=1e-12)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def attended(layer: Attention, tokens: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(T, D) → (T, D), head by head; `seen` (T, T) is True where a query sees a key."""
    width, heads = tokens.shape[1], layer.num_heads
    q, k, v = np.split(tokens @ array(layer.qkv.weight).T + array(layer.qkv.bias), 3, axis=1)
    found = []
    for part in np.split(np.arange(width), heads):
        scores = q[:, part] @ k[:, part].T / np.sqrt(width / heads)
        found.append(softmax(np.where(seen, scores, -np.inf)) @ v[:, part])
    return np.concatenate(found, axis=1) @ array(layer.output.weight).T + array(layer.output.bias)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_its_formula(causal: bool) -> None:
    layer = Attention(8, 2, causal=causal).double()
    nn.init.normal_(layer.qkv.bias)
    tokens = RANDOM.normal(size=(2, 6, 8))
    seen = np.tril(np.ones((6, 6), bool)) if causal else np.ones((6, 6), bool)
    found = layer(torch.from_numpy(tokens))
    for row in range(2):
        np.testing.assert_allclose(array(found[row]), attended(layer, tokens[row], seen), atol=1e-12)


def test_attention_leaves_padding_out() -> None:
    layer = Attention(8, 2, causal=False).double()
    tokens, mask = RANDOM.normal(size=(2, 6, 8)), torch.arange(6) < torch.tensor([[6], [4]])
    found = layer(torch.from_numpy(tokens), mask)
    alone = layer(torch.from_numpy(tokens[1:, :4]))
    torch.testing.assert_close(found[1:, :4], alone, rtol=0, atol=1e-12)


def test_the_products_of_attention_are_counted() -> None:
    layer = Attention(8, 2, causal=False)
    tokens = torch.zeros(3, 6, 8)
    projections = 2 * 3 * 6 * 4 * 8 * 8
    scores_and_values = 2 * (2 * 3 * 6 * 6 * 8)
    assert layer.products(tokens, layer(tokens)) == projections + scores_and_values


def test_a_block_is_its_formula() -> None:
    block = TransformerBlock(8, 2, 16, dropout=0.0, causal=False).double()
    tokens = torch.from_numpy(RANDOM.normal(size=(1, 5, 8)))
    middle = tokens + block.attention(nn.functional.layer_norm(tokens, (8,)))
    normal = array(nn.functional.layer_norm(middle, (8,)))
    hidden = normal @ array(block.expand.weight).T + array(block.expand.bias)
    gelu = np.array([[0.5 * x * (1 + erf(x / np.sqrt(2))) for x in row] for row in hidden[0]])
    expected = array(middle)[0] + gelu @ array(block.contract.weight).T + array(block.contract.bias)
    np.testing.assert_allclose(array(block(tokens))[0], expected, atol=1e-12)


def test_gradients_are_those_of_the_formulas() -> None:
    layer = Attention(4, 2, causal=True).double()
    tokens = torch.from_numpy(RANDOM.normal(size=(1, 3, 4))).requires_grad_()
    assert torch.autograd.gradcheck(layer, (tokens,))


@pytest.mark.parametrize("pool", [mean_tokens, first_token, last_token])
def test_pooling_counts_only_what_is_there(pool: object) -> None:
    values, mask = torch.randn(3, 4, 2), torch.arange(4) < torch.tensor([[4], [2], [0]])
    found = pool(values, mask)  # type: ignore[operator]
    torch.testing.assert_close(found[0], pool(values[:1], None)[0])  # type: ignore[operator]
    torch.testing.assert_close(found[1], pool(values[1:2, :2], None)[0])  # type: ignore[operator]
    assert not found[2].any()


SERIES = Slot("x", Field("steps", "series", (6, 4), masked=True), "series_0")
TOKENS = Slot("x", Field("tokens", "tokens", (6,), 9, 2, masked=True), "tokens_0")
OPTIONS = [
    Lstm(width=8),
    Lstm(width=8, num_layers=2, pooling="mean"),
    Lstm(width=8, num_layers=2, bidirectional=True),
    Lstm(width=8, bidirectional=True, pooling="mean"),
    Transformer(width=8, num_layers=2, num_heads=2),
    Transformer(width=8, num_layers=2, num_heads=2, pooling="first"),
    Transformer(width=8, num_layers=2, num_heads=2, pooling="last", causal=True),
]


def inputs(slot: Slot, lengths: Tensor) -> dict[str, Tensor]:
    """Rows of these lengths, something else than 0 in the padding of a series."""
    mask = torch.arange(6) < lengths[:, None]
    generator = torch.Generator().manual_seed(1)
    if slot is TOKENS:
        codes = torch.randint(1, 9, mask.shape, generator=generator)
        return {slot.input: torch.where(mask, codes, 0).int()}
    steps = torch.randn(*mask.shape, 3, generator=generator)
    return {slot.input: torch.cat([steps, mask.unsqueeze(2).float()], dim=2)}


@pytest.mark.parametrize("slot", [SERIES, TOKENS], ids=["series", "tokens"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_padding_changes_nothing(options: Lstm | Transformer, slot: Slot) -> None:
    encoder = options.build([slot]).double().eval()
    lengths = torch.tensor([6, 4, 1])
    given = inputs(slot, lengths)
    if slot is SERIES:
        given = {name: values.double() for name, values in given.items()}
    found = encoder(given).values
    for row, length in enumerate(lengths.tolist()):
        short = {name: values[row : row + 1, :length] for name, values in given.items()}
        if isinstance(options, Transformer):
            encoder.positions.weight, whole = nn.Parameter(encoder.positions.weight[:length]), encoder.positions.weight
        alone = encoder(short).values
        if isinstance(options, Transformer):
            encoder.positions.weight = whole
        torch.testing.assert_close(found[row : row + 1], alone, rtol=0, atol=1e-12)
    if slot is SERIES:
        other = given[slot.input].clone()
        other[1, 4:, :-1] = 1e6
        torch.testing.assert_close(encoder({slot.input: other}).values, found, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_row_without_a_step_has_a_finite_vector_and_finite_gradients(options: Lstm | Transformer) -> None:
    encoder = options.build([SERIES])
    found = encoder(inputs(SERIES, torch.tensor([0, 6]))).values
    found.square().sum().backward()
    assert torch.isfinite(found).all()
    assert not found[0].any()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_without_padding_there_is_no_mask_and_the_same_result(options: Lstm | Transformer) -> None:
    encoder = options.build([SERIES]).double().eval()
    given = inputs(SERIES, torch.tensor([6, 6]))[SERIES.input].double()
    found = encoder({SERIES.input: given}).values
    encoder.slot = Slot("x", Field("steps", "series", (6, 3)), SERIES.input)
    torch.testing.assert_close(encoder({SERIES.input: given[:, :, :-1]}).values, found, rtol=0, atol=1e-12)


def test_all_tokens_are_kept_with_their_mask() -> None:
    encoder = Transformer(width=8, num_layers=1, num_heads=2, pooling="none").build([TOKENS])
    found = encoder(inputs(TOKENS, torch.tensor([6, 4])))
    assert found.values.shape == (2, 6, 8)
    assert found.mask.sum(dim=1).tolist() == [6, 4]


@pytest.mark.parametrize("slot", [SERIES, TOKENS], ids=["series", "tokens"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_matrices_may_be_bf16_and_norms_and_embeddings_float32(options: Lstm | Transformer, slot: Slot) -> None:
    encoder = options.build([slot]).eval()
    given = inputs(slot, torch.tensor([6, 4, 1]))
    exact = encoder(given).values
    for module in encoder.modules():
        if isinstance(module, (nn.Linear, nn.LSTM)):
            module.to(torch.bfloat16)
    found = encoder(given).values
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=0, atol=0.1)
    found.float().square().sum().backward()
    dtypes = {parameter.dtype for parameter in encoder.parameters() if parameter.grad is not None}
    assert dtypes <= {torch.bfloat16, torch.float32}
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_rotary_places_tell_how_far_tokens_are_apart() -> None:
    turn = Rotary(9, 6).double()
    query, key = torch.randn(2, 6, dtype=torch.float64)
    turned = turn(torch.stack([query, key])[:, None, None].expand(2, 1, 9, 6))
    products_TT = turned[0, 0] @ turned[1, 0].T
    assert torch.allclose(products_TT[0, 0], query @ key)
    for apart in range(-8, 9):
        along = torch.diagonal(products_TT, apart)
        assert torch.allclose(along, along[0].expand_as(along), atol=1e-6)
