"""Averages of weights against torch's own, and the running means of batch norms for them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.design import design, outputs
from danlu.design.advice import Advice
from danlu.tasks.losses import default_loss
from danlu.train import train
from danlu.train.assemble import make_loop
from danlu.train.loop import Loop
from danlu.train.plan import make_plan
from danlu.train.stepping.engine import Engine, settled
from danlu.train.weights.averages import Average, Ema, Swa
from danlu.train.weights.flat import FlatParameters, load_weights, plain_weights
from tests.small import prepared, recipe

SGD = {"name": "sgd", "lr": 0.05}


@pytest.mark.parametrize(
    ("average", "theirs"),
    [
        (Ema(decay=0.9, rise=False), {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}),
        (Swa(), {}),
    ],
    ids=["ema", "swa"],
)
def test_an_average_is_torchs(average: Average, theirs: dict[str, object]) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    reference = AveragedModel(layers, **theirs)  # type: ignore[arg-type]
    flat = FlatParameters(layers)
    mean = torch.zeros_like(flat.values)
    for count in range(20):
        with torch.no_grad():
            flat.values.add_(torch.randn_like(flat.values))
            mean.lerp_(flat.values, average.share(count))
        reference.update_parameters(layers)
    with torch.no_grad():
        flat.values.copy_(mean)
    for ours, other in zip(layers.parameters(), reference.module.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-12, atol=1e-12)


def test_an_ema_rises_to_its_decay() -> None:
    shares = [Ema(decay=0.9).share(count) for count in (0, 1, 10, 79, 80, 10_000)]
    assert shares == pytest.approx([1, 1 - 2 / 11, 1 - 11 / 20, 1 - 80 / 89, 0.1, 0.1])


def test_swa_begins_after_its_share_and_always_has_the_last_epoch() -> None:
    assert [Swa(start=0.75).begun(epoch, 8) for epoch in range(8)] == [False] * 6 + [True] * 2
    assert Swa(start=0.99).begun(0, 1)


def pictures(folder: Path, section: dict[str, object]) -> Loop:
    """A loop over a network with batch norms and dropout."""
    asked = recipe(
        train={"epochs": 4, "augment": "none", "batch_size": 16, "optimizer": SGD, "schedule": "constant", **section},
        design={"encoders": {"image": {"name": "cnn", "channels": 4, "width": 8}}},
    )
    data = prepared(folder, "sold", ("x", "photo"))
    network = design(asked, data.schema)
    from danlu.design import describe

    plan = make_plan(asked.train, describe(network), 64, Advice())
    return make_loop(asked, network, data.split("train"), data.split("validation"), plan, Engine(), folder)


@pytest.mark.parametrize("batch_size", [16, 1])
@pytest.mark.parametrize("section", [{"name": "ema", "decay": 0.8, "rise": False}, {"name": "swa", "start": 0.0}])
def test_averaged_weights_are_scored_and_kept_with_norms_measured_for_them(
    tmp_path: Path, section: dict[str, object], batch_size: int
) -> None:
    sgd = {"name": "sgd", "lr": 0.05 * batch_size / 16}
    given = {"average": section, "early_stop": None, "batch_size": batch_size, "optimizer": sgd}
    loop = pictures(tmp_path / "run", given)
    ema = section["name"] == "ema"
    with settled(loop.engine):
        loop.start()
        reference = AveragedModel(loop.network, multi_avg_fn=get_ema_multi_avg_fn(0.8) if ema else None)
        loop.position.best = None
        for epoch in range(loop.plan.epochs):
            loop.progress, loop.shown, loop.clock = Quiet().task("train", 1).__enter__(), 0, 0.0
            loop.shown_at = float("inf")
            loop.network.train()
            for batch in loop.batches(epoch, loop.plan.step_rows):
                loop.step(batch)
                loop.position.loss_rows += 1
                loop.position.step, loop.position.count = batch.step + 1, loop.position.count + 1
                if ema:
                    reference.update_parameters(loop.network)
            if not ema:
                reference.update_parameters(loop.network)
            before = plain_weights(loop.network)
            loop.position.best = None  # so that this epoch is kept
            loop.end_epoch()
            after = plain_weights(loop.network)
            assert all(torch.equal(before[name], after[name]) for name in before), "training goes on from its own"
        loop.checkpoints.finish(loop.position, tmp_path / "run/best.safetensors")
        kept = load_file(tmp_path / "run/best.safetensors")
        reference.eval()
        update_bn([batch.inputs for batch in loop.batches(loop.plan.epochs - 1, batch_size)], _Eval(reference))
    expected = reference.module.state_dict()
    for name, value in kept.items():
        if "num_batches" not in name:
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)
    assert any("running_mean" in name for name in kept)
    assert not torch.equal(kept["head.0.weight"], before["head.0.weight"])
    load_weights(loop.network, kept)
    validation = loop.validation
    found = torch.from_numpy(outputs(loop.network, validation.inputs))
    loss = default_loss(loop.network.task).value(found, torch.from_numpy(np.array(validation.target)), None).item()
    assert loop.position.history[-1]["validation_loss"] == pytest.approx(loss, rel=1e-5)


class _Eval(nn.Module):
    """A network whose dropout stays off in training mode: `update_bn` would switch it on."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def train(self, mode: bool = True) -> "_Eval":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        return self

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = self.network(inputs)
        return found


def test_with_swa_only_averages_are_the_best_and_early_stopping_waits(tmp_path: Path) -> None:
    asked = recipe(
        train={
            "epochs": 12,
            "batch_size": 16,
            "optimizer": {"name": "adamw", "lr": 0.2},
            "average": {"name": "swa", "start": 0.5},
            "early_stop": {"patience": 1},
        }
    )
    data = prepared(tmp_path / "data", "sold", ("x", "city"))
    trained = train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    losses = [row["log_loss"] for row in trained.history]
    best = np.minimum.accumulate(losses)
    assert any(losses[epoch] >= best[epoch - 1] for epoch in range(1, 6)), "without the average it would have stopped"
    assert len(losses) > 6
    assert trained.best_epoch >= 6


@pytest.mark.parametrize("section", [{"name": "ema", "decay": 0.9}, {"name": "swa", "start": 0.3}])
def test_a_run_of_pictures_cut_short_ends_with_the_same_averages(tmp_path: Path, section: dict[str, object]) -> None:
    class Stopped(BaseException):
        pass

    def run(folder: Path, passes: int | None) -> bytes:
        loop = pictures(folder, {"average": section, "checkpoints": {"every_s": 0}})

        def stop(*_: object) -> None:
            nonlocal passes
            if passes is not None:
                passes -= 1
                if passes < 0:
                    raise Stopped

        loop.network.head.register_forward_hook(stop)
        with settled(loop.engine):
            loop.start()
            loop.fit(Quiet().task("train", 1).__enter__())
        return (folder / "best.safetensors").read_bytes() + loop.slots["average"].numpy().tobytes()

    whole = run(tmp_path / "whole", None)
    stops = 0
    for attempt in range(40):
        try:
            again = run(tmp_path / "broken", 2 + attempt % 9)
            break
        except Stopped:
            stops += 1
    assert stops >= 3
    assert again == whole


@pytest.mark.parametrize("section", [{"name": "ema"}, {"name": "swa", "start": 0.0}])
def test_norms_of_fixed_parts_keep_their_means(tmp_path: Path, section: dict[str, object]) -> None:
    loop = pictures(tmp_path / "run", {"average": section, "epochs": 1})
    fixed = [name for name, _ in loop.network.named_parameters() if not name.startswith("head.")]
    for name, parameter in loop.network.named_parameters():
        parameter.requires_grad_(name not in fixed)
    before = plain_weights(loop.network)
    with settled(loop.engine), Quiet().task("train", 1) as task:
        loop.start()
        loop.fit(task)
    kept = load_file(tmp_path / "run/best.safetensors")
    assert any(name.endswith("running_mean") for name in kept)
    assert {name for name in kept if not torch.equal(kept[name], before[name])} == {"head.0.weight", "head.0.bias"}
