"""Members of an ensemble in one network: each its own loss, one answer; and numbers that enter by bins."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from danlu.base.errors import RecipeError
from danlu.design import Network, design
from danlu.design.layers.members import MemberLinear, MemberScale
from danlu.design.layers.number_embedding import BinEmbedding
from danlu.tasks.losses import default_loss
from danlu.train.rows.batches import Batch
from danlu.train.stepping.gradients import Autograd
from danlu.train.weights.flat import FlatParameters
from tests.small import frame, recipe, schema

TABM = {"name": "tabm", "num_members": 3, "width": 8, "dropout": 0.0}
TABLE = ("x", "city", "member")


def network(target: str, inputs: tuple[str, ...] = TABLE, **sections: object) -> Network:
    asked = {"design": {"encoders": {"number": TABM, "category": TABM, "boolean": TABM}}, **sections}
    return design(recipe(**asked), schema(frame(), target, inputs)).eval()


def tensors(built: Network) -> Mapping[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in built.schema.encode(frame()).items()}


def batch(built: Network) -> Batch:
    target = torch.from_numpy(built.schema.encode_target(frame()))
    return Batch(0, dict(tensors(built)), target, np.arange(96))


@pytest.mark.parametrize("target", ["sold", "grade", "size"])
def test_the_answer_is_the_mean_of_what_the_members_say(target: str) -> None:
    built = network(target)
    with torch.no_grad():
        each_BMK, found_BK = built.member_scores(tensors(built)), built(tensors(built))
    assert each_BMK.shape == (96, 3, built.task.num_outputs)
    if target == "size":
        torch.testing.assert_close(found_BK, each_BMK.mean(1))
    elif target == "sold":
        torch.testing.assert_close(found_BK.sigmoid(), each_BMK.sigmoid().mean(1))
    else:
        torch.testing.assert_close(found_BK.softmax(1), each_BMK.softmax(2).mean(1))


@pytest.mark.parametrize("target", ["sold", "grade", "size"])
@pytest.mark.parametrize("part_rows", [96, 40])
def test_each_member_has_its_own_loss(target: str, part_rows: int) -> None:
    built = network(target)
    flat = FlatParameters(built, "fp32")
    rows, loss = batch(built), default_loss(built.task)
    total = Autograd(built, flat, loss, None, part_rows).take(rows)
    given = flat.gradients.clone()
    flat.clear()
    each_BMK = built.member_scores(rows.inputs)
    mean = torch.stack([loss.value(each_BMK[:, member], rows.target, None) for member in range(3)]).mean()
    mean.backward()
    flat.gather()
    assert total == pytest.approx(mean.item(), rel=1e-5)
    torch.testing.assert_close(given, flat.gradients, rtol=1e-4, atol=1e-6)


def test_a_rate_is_the_mean_of_the_members_rates() -> None:
    built = network("size", train={"loss": "poisson"})
    with torch.no_grad():
        rates_BMK = built.link(built.member_scores(tensors(built)))
        torch.testing.assert_close(built(tensors(built)), rates_BMK.mean(1), rtol=1e-4, atol=1e-5)


def test_what_has_no_members_stands_beside_each_of_them() -> None:
    built = network("sold", (*TABLE, "photo"))
    with torch.no_grad():
        each_BMK = built.member_scores(tensors(built))
    assert each_BMK.shape == (96, 3, 1)
    assert each_BMK.std(1).min() > 1e-4


def test_a_fusion_that_knows_no_members_takes_their_vectors_as_tokens() -> None:
    built = network(
        "sold", (*TABLE, "photo"), design={"encoders": {"*": "default", "number": TABM}, "fusion": "attention"}
    )
    assert built.num_members == 1
    assert built(tensors(built)).shape == (96, 1)


def test_encoders_must_agree_on_how_many_members_there_are() -> None:
    encoders = {"number": TABM, "category": {**TABM, "num_members": 4}, "boolean": "mlp"}
    with pytest.raises(RecipeError, match=r"encoders have 3 and 4 members, which cannot stand beside each other"):
        network("sold", design={"encoders": encoders})


def test_layers_of_members_against_one_at_a_time() -> None:
    torch.manual_seed(0)
    values_BMD = torch.randn(5, 3, 4, dtype=torch.float64)
    linear, scale = MemberLinear(3, 4, 2).double(), MemberScale(3, 4, start="signs").double()
    found_BMK = linear(scale(values_BMD))
    for member in range(3):
        scaled_BD = values_BMD[:, member] * scale.weight[member]
        torch.testing.assert_close(found_BMK[:, member], scaled_BD @ linear.weight[member] + linear.bias[member])
    assert set(scale.weight.flatten().tolist()) == {-1.0, 1.0}


def test_bins_are_the_piecewise_linear_encoding() -> None:
    layer = BinEmbedding([(0.0, 1.0, 3.0), ()], 2).double()
    torch.nn.init.normal_(layer.weight)
    found_BSE = layer(torch.tensor([[-1.0, 9.0], [0.25, 9.0], [2.0, 9.0], [5.0, 9.0]], dtype=torch.float64))
    through_BK = torch.tensor([[0, 0], [0.25, 0], [1, 0.5], [1, 1]], dtype=torch.float64)
    x_B = torch.tensor([-1, 0.25, 2, 5], dtype=torch.float64)
    soft_B1 = (x_B / (1 + (x_B / 3) ** 2).sqrt())[:, None]
    expected_BE = through_BK @ layer.weight[0] + soft_B1 * layer.line[0] + layer.bias[0]
    torch.testing.assert_close(found_BSE[:, 0], expected_BE)
    assert (found_BSE[:, 1] == found_BSE[0, 1]).all()  # without edges a line alone


def test_small_tables_get_a_short_schedule() -> None:
    from danlu.design.advice import advice_for
    from danlu.train.plan import auto_epochs

    advice = advice_for(network("sold").description)
    assert [auto_epochs(steps, steps * 32, 10_000, advice) for steps in (20, 400, 100_000)] == [30, 15, 5]
    assert advice.optimizer.options["lr"] == 1e-3
