"""An ensemble's answer is the mean of its members' answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from danlu.design.assemble import assemble, design
from danlu.design.description import describe
from danlu.design.ensemble import ensemble, members_of
from danlu.design.forward import outputs
from danlu.export.onnx import Onnx
from danlu.export.session import open_session, session_outputs
from tests.small import prepared, recipe

INPUTS = ("x", "city", "member", "load")


@pytest.mark.parametrize("target", ["sold", "grade", "size"])
def test_probabilities_and_values_are_averaged(tmp_path: Path, target: str) -> None:
    data = prepared(tmp_path, target, INPUTS)
    members = [design(recipe(seed=seed), data.schema) for seed in (1, 2, 3)]
    for one in members:
        with torch.no_grad():
            for weight in one.parameters():
                weight.mul_(3)
    inputs, task = data.split("test").inputs, members[0].task
    each = [task.answers(outputs(one, inputs)) for one in members]
    found = task.answers(outputs(ensemble(members), inputs))
    if found.probabilities is None:
        np.testing.assert_allclose(found.values, np.mean([one.values for one in each], axis=0), rtol=1e-5)
    else:
        mean = np.mean([one.probabilities for one in each], axis=0)
        np.testing.assert_allclose(found.probabilities, mean, atol=1e-6)
        assert np.ptp([one.probabilities for one in each], axis=0).max() > 0.1, "they do not differ: nothing is shown"


def test_sure_members_leave_the_answer_finite(tmp_path: Path) -> None:
    data = prepared(tmp_path, "sold", ("x",))
    whole = ensemble([design(recipe(seed=seed), data.schema) for seed in (1, 2)])
    scores = torch.tensor([[[300.0], [300.0]], [[-300.0], [-300.0]], [[300.0], [-300.0]]])
    assert whole.head(scores).tolist() == [[300.0], [-300.0], [pytest.approx(0.0, abs=1e-6)]]


def test_its_description_builds_it_again_and_it_is_described(tmp_path: Path) -> None:
    data = prepared(tmp_path, "grade", INPUTS)
    whole = ensemble([design(recipe(seed=seed), data.schema) for seed in (1, 2)])
    again = assemble(whole.description, data.schema, seed=7)
    assert [value.shape for value in again.state_dict().values()] == [v.shape for v in whole.state_dict().values()]
    assert len(members_of(again)) == 2
    one, both = describe(members_of(whole)[0]), describe(whole)
    assert both.parameters == 2 * one.parameters
    assert both.flops == 2 * one.flops
    first, second = (members_of(again)[place].state_dict() for place in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first), "members begin with other weights"


@pytest.mark.parametrize(
    "target", [pytest.param("sold", marks=pytest.mark.slow), "grade", pytest.param("size", marks=pytest.mark.slow)]
)
def test_the_exported_graph_answers_alike(tmp_path: Path, target: str) -> None:
    data = prepared(tmp_path, target, ("x", "city"))
    whole = ensemble([design(recipe(seed=seed), data.schema) for seed in (1, 2)]).eval()
    Onnx().export(whole, tmp_path / "model.onnx")
    inputs = data.split("test").inputs
    found = session_outputs(open_session(tmp_path / "model.onnx"), inputs)
    np.testing.assert_allclose(found, outputs(whole, inputs), atol=1e-5)
