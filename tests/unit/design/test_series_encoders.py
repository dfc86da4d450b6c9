"""Encoders over series: padding changes nothing, every form learns, and goes to ONNX with any batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from danlu.base.errors import RecipeError
from danlu.columns.column import Field, fit_column
from danlu.columns.schema import Schema, Slot
from danlu.design import Network, design, outputs
from danlu.design.encoders.inception_time import InceptionTime
from danlu.design.networks.inception_time import InceptionTimeEncoder
from danlu.export.onnx import Onnx
from danlu.export.session import open_session, session_outputs
from tests.small import recipe

FORMS: list[dict[str, Any]] = [
    {"name": "gru", "num_layers": 2, "bidirectional": True, "pooling": "attention"},
    {"name": "rnn", "num_layers": 2, "bidirectional": True},
    {"name": "lstm", "num_layers": 3, "attention": True, "pooling": "none"},
    {"name": "tcn", "pooling": "attention"},
    {"name": "tcn", "pooling": "mean", "num_blocks": 1},
    {"name": "inception_time", "num_modules": 3, "filters": 4, "kernel": 9},
    {"name": "inception_time", "num_modules": 2, "filters": 4, "pooling": "attention", "dropout": 0.1},
    {"name": "patch_transformer", "patch": 3, "num_layers": 1, "width": 8},
    {"name": "patch_transformer", "patch": 4, "stride": 4, "num_layers": 1, "width": 8, "channels": "apart"},
    {"name": "spectrogram_cnn", "channels": 4, "width": 8, "num_convolutions": 2},
]
LENGTHS = (11, 7, 1, 5, 11, 0, 3, 9)


def rows(lengths: tuple[int, ...] = LENGTHS) -> pl.Series:
    random = np.random.default_rng(2)
    steps = [random.normal(size=(count, 2)).cumsum(axis=0).tolist() if count else None for count in lengths]
    return pl.Series("load", steps, dtype=pl.List(pl.List(pl.Float64)))


def network(options: dict[str, Any], length: int | None = None, lengths: tuple[int, ...] = LENGTHS) -> Network:
    small = {"width": 8} if options["name"] in ("gru", "rnn", "lstm", "tcn") else {}
    load = fit_column("load", "series", {"length": length}, rows(lengths))
    target = fit_column("sold", "category", {"missing": "drop", "unseen": "error"}, pl.Series(["a", "b"] * 4))
    named = recipe(design={"encoders": {"*": {**small, **options}}})
    return design(named, Schema((load,), target))


def encoded(built: Network, lengths: tuple[int, ...] = LENGTHS) -> dict[str, np.ndarray]:
    return built.schema.encode(pl.DataFrame([rows(lengths)]))


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_more_padding_changes_no_row_and_neither_does_what_stands_there(options: dict[str, Any]) -> None:
    built, longer = network(options), network(options, length=24)
    weights = {name: value for name, value in built.state_dict().items() if not name.endswith("positions.weight")}
    longer.load_state_dict(weights, strict=False)
    for name, module in longer.named_modules():
        if name.endswith("positions"):  # places that the shorter one does not have
            own = dict(built.named_modules())[name].weight
            module.weight.data[: len(own)] = own.data
    if options["name"] == "tcn" and "num_blocks" not in options:
        pytest.skip("a longer series has more blocks")
    wanted = outputs(built, encoded(built))
    inputs = encoded(longer)
    np.testing.assert_allclose(outputs(longer, inputs), wanted, rtol=1e-4, atol=1e-5)
    steps = inputs["series_0"]
    steps[..., :-1][steps[..., -1] == 0] = 7.0
    np.testing.assert_allclose(outputs(longer, inputs), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_every_parameter_learns_and_a_row_alone_is_as_among_others(options: dict[str, Any]) -> None:
    built = network(options)
    inputs = {name: torch.from_numpy(array) for name, array in encoded(built).items()}
    built.train()
    built(inputs).square().sum().backward()
    encoder = [(name, one) for name, one in built.named_parameters() if name.startswith("encoders.")]
    without = [name for name, one in encoder if one.grad is None or not one.grad.any()]
    assert without == []
    together = outputs(built.eval(), encoded(built))
    for row in (0, 2, 5):
        alone = outputs(built, {name: array[row : row + 1] for name, array in encoded(built).items()})
        np.testing.assert_allclose(alone, together[row : row + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_half_of_the_weights_in_bf16_gives_finite_answers(options: dict[str, Any]) -> None:
    from danlu.train.weights.groups import half_parameters

    built = network(options)
    chosen = half_parameters(built)
    for name, parameter in built.named_parameters():
        if name in chosen:
            parameter.data = parameter.data.to(torch.bfloat16)
    built.train()
    found = built({name: torch.from_numpy(array) for name, array in encoded(built).items()})
    found.float().square().sum().backward()
    assert torch.isfinite(found).all()


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [LENGTHS, (11,) * 8], ids=["ragged", "even"])
@pytest.mark.parametrize("options", FORMS, ids=str)
def test_it_exports_with_any_batch(options: dict[str, Any], lengths: tuple[int, ...], tmp_path: Path) -> None:
    built = network(options, lengths=lengths).eval()
    Onnx().export(built, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    for count in (1, 3, 8):
        part = {name: array[:count] for name, array in encoded(built, lengths).items()}
        np.testing.assert_allclose(session_outputs(session, part), outputs(built, part), rtol=1e-4, atol=1e-5)


def test_padding_counts_in_no_norm() -> None:
    options = {"name": "inception_time", "num_modules": 3, "filters": 4, "kernel": 9}
    built, longer = network(options), network(options, length=24)
    longer.load_state_dict(built.state_dict())
    for one in (built, longer):
        one.train()
        one({name: torch.from_numpy(array) for name, array in encoded(one).items()})
    for (name, own), other in zip(built.named_buffers(), longer.buffers(), strict=True):
        torch.testing.assert_close(own, other, msg=name)


def test_padding_is_never_the_largest_of_three_steps() -> None:
    """However low a series lies, such as a debt in a currency."""
    module = InceptionTimeEncoder(InceptionTime(num_modules=1, filters=16, kernel=5), _slot(masked=False)).eval()
    masked = InceptionTimeEncoder(InceptionTime(num_modules=1, filters=16, kernel=5), _slot(masked=True)).eval()
    masked.load_state_dict(module.state_dict())
    steps = torch.tensor([[[-5e6], [-6e6], [-7e6]]])
    padded = torch.cat([torch.cat([steps, torch.ones(1, 3, 1)], 2), torch.zeros(1, 2, 2)], 1)
    with torch.no_grad():
        found, expected = masked({"series_0": padded}).values, module({"series_0": steps}).values
    torch.testing.assert_close(found, expected)


def _slot(*, masked: bool) -> Slot:
    return Slot("load", Field("steps", "series", (5 if masked else 3, 1 + masked), masked=masked), "series_0")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"name": "lstm", "attention": True}, "is true, but there is one layer: attention stands between two", "set"),
        ({"name": "inception_time", "kernel": 40}, "is 40, an even number", "set kernel to 39 or 41"),
        ({"name": "patch_transformer", "num_heads": 6}, "is 6, which does not divide width (64)", "set num_heads to 4"),
        ({"name": "patch_transformer", "stride": 9}, "is 9, more than a patch has steps (8)", "set stride to 8"),
        ({"name": "patch_transformer", "channels": "apart", "pooling": "none"}, "is none, but channels go", "set"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        network(options)
    (fault,) = caught.value.faults
    assert fault.message.startswith(message)
    assert fault.hint.startswith(hint)
