"""Training rows changed on their way into a step."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from danlu.base.errors import RecipeError
from danlu.design import design
from danlu.prepare.prepared import Split
from danlu.tasks.losses import CrossEntropy, Mse
from danlu.train.assemble import make_loop
from danlu.train.plan import Plan
from danlu.train.rows.augment import Augmenter, make_augmenter, other_rows
from danlu.train.rows.batches import Share, batches
from danlu.train.rows.draws import Draws
from danlu.train.stepping.engine import Engine
from danlu.train.stepping.gradients import mixed_value
from tests.small import prepared, recipe

MIXED = [{"name": "flip", "direction": "both"}, {"name": "mixup", "alpha": 0.8, "probability": 0.7}]


def augmenter(folder: Path, augment: Any, inputs: tuple[str, ...] = ("photo",)) -> tuple[Augmenter | None, Split]:
    data = prepared(folder, "grade", inputs)
    asked = recipe(train={"augment": augment})
    network = design(asked, data.schema)
    return make_augmenter(asked, (), data.schema, network.task), data.split("train")


def test_draws_hang_on_the_row_alone_and_are_spread_evenly() -> None:
    draws = Draws(7, 3, np.arange(20_000))
    values = draws.uniform("crop", low=2, high=4)
    some = np.array([17, 3, 19_999])
    assert draws.some(some).uniform("crop", low=2, high=4).tolist() == values[some].tolist()
    assert np.histogram(values, 10, (2, 4))[0] == pytest.approx(2000, abs=200)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.02
    for other in (draws.of("x"), Draws(8, 3, draws.rows), Draws(7, 4, draws.rows)):
        assert abs(np.corrcoef(values, other.uniform("crop"))[0, 1]) < 0.03
    assert np.bincount(draws.integers(1, 4, "n"))[1:] == pytest.approx(20_000 / 3, rel=0.05)


@pytest.mark.parametrize("alpha", [1e-9, 0.1, 0.4, 1.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    draws = Draws(1, 0, np.arange(20_000))
    found = draws.beta(alpha, "share")
    assert found.mean() == pytest.approx(0.5, abs=0.01)
    assert found.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    assert draws.some(np.array([11])).beta(alpha, "share")[0] == found[11]


def test_another_row_is_never_the_same_and_any_of_the_others() -> None:
    rows = np.arange(5_000) % 5
    others = other_rows(Draws(0, 0, rows), 5)
    assert (others != rows).all()
    found = other_rows(Draws(0, 0, np.arange(5_000)), 5_000)
    assert len(np.unique(found)) > 3_000


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_changed_alike_whoever_has_them_and_wherever_a_run_goes_on(tmp_path: Path, workers: int) -> None:
    found, split = augmenter(tmp_path, MIXED)
    assert found
    order = np.random.default_rng(0).permutation(split.num_rows)
    one = list(batches(split, order, step_rows=16, augment=partial(found.apply, 5)))
    for rank in range(workers):
        share = Share(rank, workers, 16)
        own = list(batches(split, order, step_rows=16, first_step=2, share=share, augment=partial(found.apply, 5)))
        for batch, whole in zip(own, one[2:], strict=True):
            places = share.places(16)
            assert torch.equal(batch.inputs["image_0"], whole.inputs["image_0"][places])
            assert batch.mixed
            assert whole.mixed
            assert torch.equal(batch.mixed.share, whole.mixed.share[places])
            assert torch.equal(batch.mixed.target, whole.mixed.target[places])
    shares = torch.cat([batch.mixed.share for batch in one if batch.mixed])
    assert 0.1 < (shares == 1).float().mean() < 0.5
    plain = torch.cat([batch.inputs["image_0"] for batch in batches(split, order, step_rows=16)])
    assert not torch.equal(plain, torch.cat([batch.inputs["image_0"] for batch in one]))


def test_a_mixed_row_is_what_its_two_rows_are_by_its_share(tmp_path: Path) -> None:
    found, split = augmenter(tmp_path, ["mixup"], ("x", "photo"))
    assert found
    rows = np.arange(64)
    inputs, mixed = found.apply(
        0, rows, {k: np.array(v) for k, v in split.inputs.items()}, split, partial(np.take, axis=0)
    )
    assert mixed
    others, share = other_rows(Draws(3, 0, rows).of("other"), 64), mixed.share[:, None]
    scalars = share * split.inputs["scalars"] + (1 - share) * split.inputs["scalars"][others]
    np.testing.assert_allclose(inputs["scalars"], scalars, atol=1e-6)
    pixels = (
        share[..., None, None] * split.inputs["image_0"]
        + (1 - share[..., None, None]) * split.inputs["image_0"][others]
    )
    np.testing.assert_allclose(inputs["image_0"], pixels, atol=0.51)
    np.testing.assert_array_equal(mixed.target, split.target[others])


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0])])
def test_the_loss_of_mixed_rows_is_that_of_both_targets(weights: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(0)
    scores, share = torch.randn(8, 3, generator=generator), torch.rand(8, generator=generator)
    target, other = torch.randint(3, (2, 8), generator=generator)
    loss = CrossEntropy(label_smoothing=0.1)
    rows = [(scores[at : at + 1], target[at : at + 1], other[at : at + 1], share[at]) for at in range(8)]
    expected = sum(
        part * loss.value(s, one, weights, "sum") + (1 - part) * loss.value(s, two, weights, "sum")
        for s, one, two, part in rows
    )
    assert mixed_value(loss, scores, target, other, share, weights).item() == pytest.approx(float(expected), rel=1e-6)
    ones = torch.ones(8)
    plain = Mse().value(scores[:, :1], target.float(), None, "sum")
    assert mixed_value(Mse(), scores[:, :1], target.float(), other.float(), ones, None).item() == pytest.approx(
        plain.item()
    )


def test_a_step_of_mixed_rows_is_the_same_in_parts_and_with_class_weights(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "grade", ("photo",))
    losses = []
    for batch_size in (32, 8):
        asked = recipe(train={"augment": MIXED, "class_weights": "balanced", "engine": "plain"})
        encoder = {"photo": {"name": "cnn", "norm": "none", "dropout": 0}}
        network = design(asked.model_copy(update={"design": recipe(design={"encoders": encoder}).design}), data.schema)
        plan = Plan("cpu", batch_size, 32, 1, 2)
        loop = make_loop(
            asked, network, data.split("train"), data.split("validation"), plan, Engine(), tmp_path / "run"
        )
        loop.start()
        network.train()
        batch = next(loop.batches(0, 32))
        losses.append((loop.gradients.take(batch), loop.flat.gradients.clone()))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)
    torch.testing.assert_close(losses[0][1], losses[1][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("augment", "inputs", "message"),
    [
        (["flip"], ("x",), r"train\.augment\.0 is flip, which changes image columns, and there is none"),
        (["flip", "mixup"], ("photo", "city"), r"train\.augment\.1 is mixup, which cannot mix the code columns"),
        ([{"name": "erase", "smallest": 0.3}], ("photo",), r"erase, which has smallest 0\.3 above largest 0\.25"),
    ],
)
def test_what_changes_nothing_that_is_there_is_refused(
    tmp_path: Path, augment: list[object], inputs: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        augmenter(tmp_path, augment, inputs)


def test_an_augmentation_that_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"(?s)train\.augment\.0 is flop.*did you mean flip"):
        recipe(train={"augment": ["flop"]})
