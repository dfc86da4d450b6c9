"""One sweep over every encoder, fusion, head and task of the catalogue: new ones come in by themselves, made small.

What only one of them does is tested in `tests/unit/design`.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from danlu import catalog
from danlu.base.registry import describe as describe_options
from danlu.base.registry import validate
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.design import Network, assemble, describe, design, outputs
from danlu.design.forward import shortened
from danlu.export.onnx import Onnx
from danlu.export.session import open_session, session_outputs
from danlu.tasks.losses import default_loss
from danlu.tasks.task import task_for
from danlu.train.weights.flat import FlatParameters
from tests.small import TARGETS, frame, recipe, schema

COLUMNS = {"scalar": ("x",), "code": ("city", "member"), "image": ("photo",), "series": ("load",), "tokens": ("words",)}
ALL = tuple(name for names in COLUMNS.values() for name in names)
# What makes encoders and fusions small, where they have the option and may have one of the values.
SMALL: Mapping[str, Sequence[Any]] = {
    "width": (16,),
    "num_layers": (1,),
    "num_heads": (2,),
    "feed_forward": (16,),
    "num_blocks": (1,),
    "num_modules": (2,),
    "num_members": (3,),
    "channels": (4,),
    "filters": (4,),
    "kernel": (5,),
    "depth": (10, 11),
    "patch": (2,),
    "buckets": (64,),
    "embedding_dim": (8,),
    "dropout": (0.1,),
    "token_dropout": (0.1,),
    "pooling": ("mean",),
}
ELSEWHERE = ("pretrained",)  # needs a checkpoint: tests/unit/design/test_pretrained.py
ENCODERS = tuple(name for name in catalog.names("encoders") if name not in ELSEWHERE)
OWN = ("tokens", "towers", "pair")  # fusions that come with a task, or with columns that share an encoder
FUSIONS = tuple(name for name in catalog.names("fusions") if name not in OWN)


@dataclass(frozen=True)
class Case:
    """What a network is made of: encoders by column, fusion, target."""

    name: str
    encoders: tuple[tuple[str, str], ...]
    target: str = "grade"
    fusion: str = "concat"
    head: str = "default"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.encoders)


def of_encoder(name: str) -> Case:
    kinds = catalog.find("encoders", name).kinds  # type: ignore[attr-defined]
    return Case(name, tuple((column, name) for kind in kinds for column in COLUMNS[kind]))


def of_target(target: str, head: str = "default") -> Case:
    own = {"tags": (("words", "tagger"),), "pair": (("load", "lstm"), ("words", "lstm"))}
    encoders = own.get(target, (("x", "mlp"), ("city", "mlp")))
    return Case(f"{target}-{head}", encoders, target, head=head)


def of_fusion(name: str) -> Case:
    own = {"load": "lstm", "words": "transformer", "photo": "cnn"}
    return Case(f"fusion-{name}", tuple((column, own.get(column, "mlp")) for column in ALL), fusion=name)


def small(family: str, name: str, **more: Any) -> dict[str, Any]:
    """A component's name and small options."""
    component = catalog.find(family, name)
    tried = [(option, value) for option, values in SMALL.items() for value in values]
    return {"name": name, **{option: value for option, value in tried if _may_be(component, option, value)}, **more}


def _may_be(component: type, option: str, value: Any) -> bool:
    try:
        validate(component, {option: value})
    except ValidationError:
        return False
    return True


CASES = {
    case.name: case
    for case in [
        *(of_encoder(name) for name in ENCODERS),
        *(of_target(name) for name in TARGETS),
        *(of_fusion(name) for name in FUSIONS),
        Case("shared", (("words", "lstm"), ("x", "mlp"), ("reply", "lstm")), fusion="pair"),
    ]
}


def fitted(case: Case) -> Schema:
    """Its columns; with a fusion that is looked at, rows may lack their picture."""
    found = schema(frame(), case.target, case.columns)
    if not case.name.startswith("fusion"):
        return found
    photo = fit_column("photo", "image", {"missing": "learned"}, frame()["photo"])
    return replace(found, inputs=tuple(photo if one.name == "photo" else one for one in found.inputs))


def built_of(case: Case) -> Network:
    encoders = {column: small("encoders", name) for column, name in case.encoders}
    fusion = small("fusions", case.fusion)
    if case.name.startswith("fusion"):
        fusion["modality_dropout"] = 0.3
    if case.fusion == "attention":
        encoders["words"]["pooling"] = "none"
    share = [["words", "reply"]] if case.fusion == "pair" else []
    section = {"encoders": encoders, "share": share, "fusion": fusion, "head": case.head}
    return design(recipe(design=section), fitted(case))


@cache
def built_once(name: str) -> Network:
    return built_of(CASES[name]).eval()


@pytest.fixture(params=CASES)
def built(request: pytest.FixtureRequest) -> Network:
    """Not to be trained: other tests have it too."""
    return built_once(request.param)


def rows(built: Network) -> dict[str, np.ndarray]:
    return built.schema.encode(_lacking_pictures(frame()))


def _lacking_pictures(whole: pl.DataFrame) -> pl.DataFrame:
    return whole.with_columns(photo=pl.when(pl.int_range(pl.len()) % 5 > 0).then("photo"))


def tensors(built: Network) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in rows(built).items()}


def target(built: Network) -> Tensor:
    return torch.from_numpy(built.schema.encode_target(frame()))


def loss_of(network: Network, inputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
    scores, truth = network.rows_apart(network.member_scores(inputs), target)
    return default_loss(network.task).value(scores, truth, None)


def test_outputs_are_numbers_and_a_row_alone_is_as_in_a_batch(built: Network) -> None:
    found = outputs(built, rows(built))
    assert found.shape[0] == 96
    assert found.shape[-1] == built.task.num_outputs
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=0).max() > 1e-4
    for row in (0, 5, 63):  # 0 lacks the number, the series and the words; 63 the number and the series
        alone = outputs(built, {name: array[row : row + 1] for name, array in rows(built).items()})
        np.testing.assert_allclose(alone, found[row : row + 1], rtol=1e-4, atol=1e-5)


def test_padding_does_not_change_outputs(built: Network) -> None:
    """Whatever stands in padded steps; and with less of it, as batches of short rows have."""
    inputs = tensors(built)
    with torch.no_grad():
        found = built(inputs)
        for slot in built.schema.slots:
            if slot.field.kind == "series":
                steps = inputs[slot.input]
                steps[..., :-1] = torch.where(steps[..., -1:] > 0, steps[..., :-1], 7.0)
        torch.testing.assert_close(built(inputs), found, rtol=1e-4, atol=1e-5)
        for name in shortened(built):
            short = (inputs[name] != 0).sum(1) <= 4
            less = {other: one[short] for other, one in inputs.items()} | {name: inputs[name][short, :4]}
            got = built(less)
            torch.testing.assert_close(got, found[short][:, : got.shape[1]], rtol=1e-4, atol=1e-5)


def test_every_parameter_gets_a_gradient_in_both_precisions(built: Network) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        network = deepcopy(built).train()
        flat = FlatParameters(network, precision)  # type: ignore[arg-type]
        torch.manual_seed(1)
        loss = loss_of(network, tensors(built), target(built))
        loss.backward()
        flat.gather()
        assert torch.isfinite(flat.gradients).all()
        none = [name for name, (start, stop) in flat.places.items() if not flat.gradients[start:stop].any()]
        assert none == []
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.1, abs=0.05)


def test_the_same_seed_gives_the_same_network_and_another_one_another(built: Network) -> None:
    description = json.loads(json.dumps(built.description))
    first, again, other = (assemble(description, built.schema, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_saved_weights_give_the_same_outputs(built: Network) -> None:
    copy = assemble(json.loads(json.dumps(built.description)), built.schema, seed=9)
    copy.load_state_dict(built.state_dict())
    np.testing.assert_array_equal(outputs(copy, rows(built)), outputs(built, rows(built)))


def test_layers_and_costs_are_told(built: Network) -> None:
    found = describe(built)
    assert found.parameters == sum(parameter.numel() for parameter in built.parameters())
    assert found.flops > 32
    assert sum(layer.parameters for layer in found.layers) >= 0.5 * found.parameters
    assert describe(built, 512).memory_mb > describe(built, 64).memory_mb


def test_eight_rows_are_learnt_by_heart(built: Network) -> None:
    network = deepcopy(built).train()
    inputs, truth = {name: array[8:16] for name, array in tensors(built).items()}, target(built)[8:16]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    torch.manual_seed(0)
    least = first = loss_of(network, inputs, truth).item()
    for _ in range(100):
        optimizer.zero_grad()
        loss = loss_of(network, inputs, truth)
        loss.backward()
        optimizer.step()
        least = min(least, loss.item())
        if least < 0.5 * first:
            return
    raise AssertionError(f"from {first:.3f} to {least:.3f}")


def _beside_each_other(encoders: Sequence[str]) -> Network:
    """One network with an encoder of each kind named, every one with columns of its own."""
    whole, inputs, asked = frame(), [], {}
    for place, name in enumerate(encoders):
        for column in of_encoder(name).columns:
            found = next(one for one in schema(whole, inputs=(column,)).inputs)
            inputs.append(replace(found, name=f"{column}{place}"))
            asked[f"{column}{place}"] = small("encoders", name)
    return design(recipe(design={"encoders": asked}), Schema(tuple(inputs), schema(whole).target)).eval()


def _copied(built: Network) -> pl.DataFrame:
    whole = frame()
    return pl.DataFrame({one.name: whole[one.name.rstrip("0123456789")] for one in built.schema.inputs})


def check_export(built: Network, given: pl.DataFrame, tmp_path: Path) -> None:
    Onnx().export(built, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    assert [(item.name, item.shape[1:]) for item in session.get_inputs()] == [
        (spec.name, list(spec.shape)) for spec in built.schema.input_specs
    ]
    for count in (1, 2, 96):
        part = {name: array[:count] for name, array in built.schema.encode(given).items()}
        np.testing.assert_allclose(session_outputs(session, part), outputs(built, part), rtol=1e-4, atol=1e-5)


GROUPS = {
    kind: [name for name in ENCODERS if catalog.find("encoders", name).kinds[0] == kind]  # type: ignore[attr-defined]
    for kind in COLUMNS
    if any(catalog.find("encoders", name).kinds[0] == kind for name in ENCODERS)  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("kind", GROUPS)
def test_all_encoders_export_with_any_batch(kind: str, tmp_path: Path) -> None:
    """All of a kind in one network, since each export takes seconds; which one fails, the slow test tells."""
    built = _beside_each_other(GROUPS[kind])
    check_export(built, _copied(built), tmp_path)


@pytest.mark.slow
def test_it_exports_with_any_batch(built: Network, tmp_path: Path) -> None:
    check_export(built, _lacking_pictures(frame()), tmp_path)


def test_fusions_export_with_any_batch(tmp_path: Path) -> None:
    check_export(built_once("fusion-attention"), _lacking_pictures(frame()), tmp_path)


@pytest.mark.parametrize("name", ENCODERS)
def test_it_builds_from_its_defaults(name: str) -> None:
    case = of_encoder(name)
    asked = {"encoders": dict(case.encoders)}
    built = design(recipe(design=asked), fitted(case))
    assert np.isfinite(outputs(built, {key: array[:2] for key, array in rows(built).items()})).all()


HEADS = [
    (target, head)
    for target in TARGETS
    for head in catalog.names("heads")
    if task_for(schema(frame(), target).target).name in catalog.find("heads", head).tasks  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("target", "head"), HEADS)
def test_every_head_of_a_task_gives_its_outputs(target: str, head: str) -> None:
    built = built_of(of_target(target, head))
    assert outputs(built, rows(built)).shape[-1] == built.task.num_outputs


def test_every_task_head_and_fusion_of_the_catalogue_is_in_this_sweep() -> None:
    assert {task_for(schema(frame(), target).target).name for target in TARGETS} == set(catalog.names("tasks"))
    assert {head for _, head in HEADS} == set(catalog.names("heads"))
    assert {built_once(name).description["fusion"]["name"] for name in CASES} == set(catalog.names("fusions"))


@pytest.mark.parametrize(
    ("family", "name"), [("encoders", name) for name in ENCODERS] + [("fusions", name) for name in FUSIONS]
)
def test_a_misspelt_option_is_refused(family: str, name: str) -> None:
    component = catalog.find(family, name)
    option = describe_options(component)[0].name
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        validate(component, {option + "s_": 1})
