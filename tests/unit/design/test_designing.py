"""Which encoder a column gets, and what only one encoder does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from danlu import catalog
from danlu.base.errors import RecipeError
from danlu.base.registry import validate
from danlu.columns.column import fit_column
from danlu.columns.fillers.filler import FittedFiller
from danlu.columns.fillers.group import Group
from danlu.columns.schema import Schema
from danlu.design import Network, design, outputs
from danlu.design.description import example_inputs
from danlu.export.onnx import Onnx
from danlu.export.session import open_session, session_outputs
from danlu.tasks.losses import default_loss
from tests.small import frame, prepared, recipe, schema

COLUMNS = {
    "mlp": ("x", "city", "member"),
    "transformer": ("words", "load"),
    "cnn": ("photo",),
    "all": ("x", "city", "member", "photo", "load", "words"),
}


def network(columns: str, target: str, **sections: object) -> Network:
    return design(recipe(**sections), schema(frame(), target, COLUMNS[columns]))


def rows(built: Network) -> dict[str, np.ndarray]:
    return built.schema.encode(frame())


SEQUENCE_ENCODERS = [
    {"name": "lstm", "num_layers": 2, "bidirectional": True},
    {"name": "lstm", "num_layers": 2, "pooling": "mean"},
    {"name": "transformer", "num_layers": 1, "width": 16, "causal": True, "pooling": "last"},
    {"name": "transformer", "num_layers": 1, "width": 16, "pooling": "first"},
    {"name": "transformer", "num_layers": 1, "width": 16, "pooling": "none"},
    {"name": "transformer", "num_layers": 1, "width": 16, "positions": "rotary", "pooling": "attention"},
    {"name": "transformer", "num_layers": 2, "width": 16, "norm": "post"},
]


def sequence_network(options: dict[str, object]) -> Network:
    return design(recipe(design={"encoders": {"*": options}}), schema(frame(), "sold", ("load", "words")))


def test_texts_are_scored_beside_others_of_their_length() -> None:
    """However few rows there are: a batch is computed up to its longest text."""
    counts = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 41), 5))
    words = pl.DataFrame({"words": [" ".join(["ab"] * count) for count in counts], "sold": np.arange(200.0)})
    columns = [fit_column(name, kind, {}, words[name]) for name, kind in (("words", "tokens"), ("sold", "number"))]
    asked = recipe(design={"encoders": {"words": {"name": "transformer", "num_layers": 1, "width": 16}}})
    built = design(asked, Schema(inputs=(columns[0],), target=columns[1], missing_values=()))
    inputs = built.schema.encode(words)
    seen: list[tuple[int, int]] = []
    (encoder,) = (one for one in built.modules() if getattr(one, "any_length", False))
    encoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0]["tokens_0"].shape)))
    found = outputs(built, inputs)
    assert sum(rows for rows, _ in seen) == 200
    assert sum(rows * places for rows, places in seen) < 1.4 * counts.sum()
    alone = outputs(built, {name: array[7:8] for name, array in inputs.items()})
    np.testing.assert_allclose(alone, found[7:8], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", SEQUENCE_ENCODERS, ids=str)
def test_every_form_of_a_sequence_encoder_trains(options: dict[str, object]) -> None:
    built = sequence_network(options)
    found = outputs(built, rows(built))
    alone = outputs(built, {name: array[5:6] for name, array in rows(built).items()})
    np.testing.assert_allclose(alone, found[5:6], rtol=1e-4, atol=1e-5)
    inputs = {name: torch.from_numpy(array) for name, array in rows(built).items()}
    target = torch.from_numpy(built.schema.encode_target(frame()))
    default_loss(built.task).value(built.train()(inputs), target, None).backward()
    assert [name for name, one in built.named_parameters() if one.grad is None or not one.grad.any()] == []


@pytest.mark.slow
@pytest.mark.parametrize("options", SEQUENCE_ENCODERS, ids=str)
def test_every_form_of_a_sequence_encoder_exports(options: dict[str, object], tmp_path: Path) -> None:
    built = sequence_network(options)
    Onnx().export(built, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    for count in (1, 96):
        part = {name: array[:count] for name, array in rows(built).items()}
        np.testing.assert_allclose(session_outputs(session, part), outputs(built, part), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"num_heads": 5}, "is 5, which does not divide width (128)", "set num_heads to 4 or 8"),
        ({"causal": True, "pooling": "first"}, "is first, and a causal network's first token sees no other", "set"),
        (
            {"positions": "rotary", "width": 20},
            "is rotary, which turns pairs of numbers, and a head has 5",
            "set width to an even multiple of num_heads",
        ),
        ({"name": "tagger", "window": 4}, "is 4, an even number", "set window to 3 or 5"),
    ],
)
def test_options_of_an_encoder_that_do_not_go_together(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        network("transformer", "sold", design={"encoders": {"words": {"name": "transformer"} | options}})
    (fault,) = caught.value.faults
    assert fault.path.startswith("design.encoders.words.")
    assert (fault.message, fault.hint.startswith(hint)) == (message, True)


def test_an_encoder_that_cannot_take_a_column_names_one_that_can() -> None:
    with pytest.raises(RecipeError, match=r"encoders\.x is cnn, which cannot take the number column x") as caught:
        network("all", "sold", design={"encoders": {"x": "cnn"}})
    fits = [name for name in catalog.names("encoders") if "scalar" in catalog.find("encoders", name).kinds]  # type: ignore[attr-defined]
    assert caught.value.faults[0].hint == f"use {' or '.join(fits)}"


def test_pictures_that_are_too_small_for_a_cnn_are_refused() -> None:
    message = r"encoders\.photo\.num_blocks is 4, but pictures of 8 × 8 pixels can be halved 3 times"
    with pytest.raises(RecipeError, match=message) as caught:
        network("cnn", "sold", design={"encoders": {"photo": {"name": "cnn", "num_blocks": 4}}})
    assert caught.value.faults[0].hint == "set num_blocks to 3 or less"
    lines = Schema(
        (fit_column("photo", "image", {}, pl.Series(np.zeros((4, 1, 9), np.uint8))),), schema(frame(), "sold").target
    )
    with pytest.raises(RecipeError, match=r"encoders\.photo is cnn, which cannot halve pictures of 9 × 1 pixels"):
        design(recipe(design={"encoders": {"photo": "cnn"}}), lines)


def test_an_encoder_for_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"encoders\.foto is neither an input column") as caught:
        network("all", "sold", design={"encoders": {"foto": "cnn"}})
    assert caught.value.faults[0].hint == "did you mean photo?"


def test_a_head_of_another_task_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"design\.head is regression, but the target sold makes this a binary task"):
        network("all", "sold", design={"head": "regression"})


def test_options_without_a_name_are_of_the_tasks_own_head() -> None:
    built = network("all", "grade", design={"head": {"num_layers": 1, "width": 8}})
    assert built.description["head"] == {"name": "multiclass", "num_layers": 1, "width": 8, "dropout": 0.0}


def test_encoders_are_chosen_by_name_then_type_then_star() -> None:
    sections = {
        "design": {
            "encoders": {"*": "default", "number": {"name": "mlp", "width": 32}, "city": {"name": "mlp", "width": 16}}
        }
    }
    found = {
        tuple(part["columns"]): part.get("width") for part in network("all", "sold", **sections).description["encoders"]
    }
    assert found == {
        ("x",): 32,
        ("city",): 16,
        ("member",): 256,
        ("photo",): None,
        ("load",): None,
        ("words",): 128,
    }


@pytest.mark.parametrize("numbers", ["none", "linear", "periodic"])
def test_a_missing_number_has_a_vector_of_its_own(numbers: str) -> None:
    built = network("mlp", "sold", design={"encoders": {"*": {"name": "mlp", "numbers": numbers}}})
    inputs = example_inputs(built.schema, 2)
    (flag,) = [slot.start for slot in built.schema.slots if slot.field.name == "missing"]
    inputs["scalars"][:, flag] = 1
    inputs["scalars"][1, 1 - flag] = 5.0  # what stands in the place of a missing value does not count
    found = built.eval()(inputs)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("numbers", ["none", "linear", "periodic"])
def test_a_filled_number_counts_and_so_does_that_it_was_missing(numbers: str) -> None:
    plain = network("mlp", "sold").schema
    filler = Group(columns=("x",), by=("city",))
    state = filler.fit({name: one.parse(frame()[name]) for name, one in zip(("x", "city"), plain.inputs, strict=False)})
    filled = replace(
        plain, fillers=(FittedFiller("group", validate(Group, {"columns": ["x"], "by": ["city"]}), state),)
    )
    built = design(recipe(design={"encoders": {"*": {"name": "mlp", "numbers": numbers}}}), filled).eval()
    value, flag = (slot.start for slot in filled.slots if slot.column == "x")
    inputs = example_inputs(filled, 3)
    inputs["scalars"][:, flag] = 1
    inputs["scalars"][:, value] = 0.5
    inputs["scalars"][1, value] = 2.0
    inputs["scalars"][2, flag] = 0
    found = built(inputs)
    assert (found[0] - found[1]).abs().max() > 1e-5
    assert (found[0] - found[2]).abs().max() > 1e-5


def test_a_category_may_say_besides_its_code_that_it_was_missing() -> None:
    frame_ = frame().with_columns(city=pl.when(pl.int_range(96) % 3 > 0).then("city"))
    plain = network("mlp", "sold").schema
    city = fit_column("city", "category", {"indicator": True, "missing": "most_frequent"}, frame_["city"])
    built = design(recipe(), replace(plain, inputs=(plain.inputs[0], city))).eval()
    inputs = example_inputs(built.schema, 2)
    flag = next(slot.start for slot in built.schema.slots if (slot.column, slot.field.name) == ("city", "missing"))
    inputs["scalars"][:] = 0.0
    inputs["scalars"][1, flag] = 1.0
    inputs["codes"][:] = 1
    found = built(inputs)
    assert (found[0] - found[1]).abs().max() > 1e-5


def test_an_unseen_category_starts_as_the_mean_of_all() -> None:
    (encoder,) = network("mlp", "sold").encoders
    (slot,) = [slot for slot in network("mlp", "sold").schema.slots if slot.column == "city"]
    assert slot.field.reserved == 2
    rows = encoder.table.categories.weight[: slot.field.num_codes]
    assert not rows[:2].any()
    assert rows[2:].any(dim=1).all()


def test_prepared_splits_feed_the_network(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    assert outputs(design(recipe(), data.schema), data.split("test").inputs).shape == (16, 1)
