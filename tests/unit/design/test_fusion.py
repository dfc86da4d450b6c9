"""Fusions, and rows that lack a picture, a series or tokens."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from danlu.base.errors import DataError, RecipeError
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.design import Network, design, outputs
from danlu.design.fusion.attention import Attention
from danlu.design.layers.attention_fusion import AttentionFusion
from danlu.design.layers.gated import GatedFusion
from danlu.design.network import Encoded
from danlu.prepare.choose import choose_column
from danlu.recipe.schema import ColumnRecipe, Recipe
from danlu.serve.refusal import Refusal
from danlu.serve.rows import rows_frame
from tests.small import frame, recipe, schema

ALL = ("x", "photo", "load", "words")


def with_dropout(share: float = 0.5, fusion: str = "concat") -> Recipe:
    return recipe(design={"fusion": {"name": fusion, "modality_dropout": share}})


def lacking(fusion: str = "concat") -> tuple[Network, Schema]:
    """A network whose rows may lack a picture, a series, and words."""
    plain = schema(frame(), inputs=ALL)
    photo = fit_column("photo", "image", {"missing": "learned"}, frame()["photo"])
    fitted = replace(plain, inputs=tuple(photo if one.name == "photo" else one for one in plain.inputs))
    return design(with_dropout(fusion=fusion), fitted), fitted


def tensors(fitted: Schema, rows: pl.DataFrame) -> Mapping[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in fitted.encode(rows).items()}


def test_gates_are_the_papers_for_two_encoders() -> None:
    torch.manual_seed(0)
    fusion = GatedFusion([3, 2], 4).double()
    first, second = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    found = fusion([Encoded(first), Encoded(second)])
    both = fusion.gates(torch.cat([first, second], 1))
    z = torch.sigmoid(both[:, :4] - both[:, 4:])
    torch.testing.assert_close(
        found, z * torch.tanh(fusion.values[0](first)) + (1 - z) * torch.tanh(fusion.values[1](second))
    )


def test_attention_does_not_see_padding() -> None:
    torch.manual_seed(0)
    fusion = AttentionFusion(Attention(width=8, num_heads=2), [3, 5]).eval()
    tokens, mask = torch.randn(2, 4, 3), torch.tensor([[True, True, False, False], [True, False, False, False]])
    vector = torch.randn(2, 5)
    found = fusion([Encoded(tokens, mask), Encoded(vector)])
    tokens[~mask] = 7.0
    torch.testing.assert_close(fusion([Encoded(tokens, mask), Encoded(vector)]), found)
    torch.testing.assert_close(fusion([Encoded(tokens[:, :2], mask[:, :2]), Encoded(vector)]), found)
    assert (fusion([Encoded(tokens, mask), Encoded(vector + 1)]) - found).abs().max() > 1e-4


def test_heads_of_an_attention_fusion_divide_its_width() -> None:
    given = recipe(design={"fusion": {"name": "attention", "num_heads": 5}})
    with pytest.raises(
        RecipeError, match=r"design\.fusion\.num_heads is 5, which does not divide width \(128\)"
    ) as caught:
        design(given, schema(frame(), inputs=ALL))
    assert caught.value.faults[0].hint == "set num_heads to 4 or 8"


@pytest.mark.parametrize("fusion", ["concat", "gated", "attention"])
@pytest.mark.parametrize("column", ["photo", "load", "words"])
def test_what_stands_for_a_missing_column_is_learned(column: str, fusion: str) -> None:
    network, fitted = lacking(fusion)
    place = [part["columns"] for part in network.description["encoders"]].index([column])
    rows = frame().head(4).with_columns(pl.lit(None).alias(column))
    before = outputs(network, fitted.encode(rows))
    with torch.no_grad():
        for weight in network.encoders[place].parameters():
            weight.mul_(1.5)
    np.testing.assert_array_equal(outputs(network, fitted.encode(rows)), before)  # the encoder has no say
    with torch.no_grad():
        network.missing[str(place)].token += 1
    assert np.abs(outputs(network, fitted.encode(rows)) - before).min() > 1e-6
    np.testing.assert_array_equal(
        outputs(network, fitted.encode(rows.drop(column))), outputs(network, fitted.encode(rows))
    )


def test_modality_dropout_draws_from_the_seed_and_trains_every_token() -> None:
    network, fitted = lacking()
    inputs = tensors(fitted, frame())
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(network.train()(inputs))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    found[0].sum().backward()
    assert all(one.token.grad.any() for one in network.missing.values())


def test_without_dropout_only_what_training_rows_lack_has_a_token() -> None:
    plain = design(recipe(), schema(frame(), inputs=ALL)).description
    assert plain["optional"] == ["load", "words"]  # every ninth and every eighth row has none
    whole = frame().with_columns(pl.lit("up down flat").alias("words"))
    assert "optional" not in design(recipe(), schema(whole, inputs=("x", "words"))).description


def test_modality_dropout_lets_columns_be_missing() -> None:
    asked = with_dropout().design
    assert (
        choose_column(frame()["photo"], ColumnRecipe(), is_target=False, design=asked).options["missing"] == "learned"
    )
    assert choose_column(frame()["load"], ColumnRecipe(), is_target=False, design=asked).options["mask"] == "always"
    said = ColumnRecipe(type="image", options={"missing": "drop"})
    assert choose_column(frame()["photo"], said, is_target=False, design=asked).options["missing"] == "drop"


def test_modality_dropout_that_drops_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"design\.fusion\.modality_dropout drops nothing"):
        design(with_dropout(), schema(frame(), inputs=("x", "city")))


def test_a_request_may_lack_such_a_column_but_not_misspell_it() -> None:
    _, fitted = lacking()
    row = {"x": 1.0, "load": None, "words": "up"}
    encoded = fitted.encode(rows_frame([row, {**row, "photo": np.zeros((8, 8)).tolist()}], fitted))
    assert encoded["scalars"][:, fitted.presence["photo"].start].tolist() == [1.0, 0.0]
    with pytest.raises(Refusal, match="the column photo is not in row 0"):
        rows_frame([{**row, "foto": None}], fitted)
    with pytest.raises(DataError, match="the column photo is not in the data"):
        fitted.encode(frame().rename({"photo": "Photos"}))
    with pytest.raises(Refusal, match="the column x is not in row 0"):
        rows_frame([{"words": "up"}], fitted)
