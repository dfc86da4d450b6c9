"""The loop as its user sees it: resume, early stopping, faults, what is written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from danlu.base.errors import NonFiniteLossError, RecipeError, StorageError
from danlu.base.runs import Run
from danlu.design import Trained, design, outputs
from danlu.tasks.losses import default_loss
from danlu.train import train
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter

INPUTS = ("x", "city", "member")
ADAM = {"name": "adamw", "lr": 0.01}


def fit(folder: Path, sections: dict[str, object], stop: StopsAfter | None = None, target: str = "sold") -> Trained:
    asked = recipe(train={"epochs": 6, "batch_size": 16, "optimizer": ADAM, "checkpoints": {"every_s": 0}, **sections})
    data = prepared(folder / "data", target, INPUTS)
    network = design(asked, data.schema)
    if stop:
        network.encoders[0].table.numbers.register_forward_hook(stop)  # what runs however gradients are taken
    return train(asked, network, data, Run(folder / "run"))


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"accumulate": 2, "clip_norm": 0.5, "l1": 1e-3},
        {"optimizer": {"name": "sgd"}, "schedule": {"name": "plateau", "patience": 1}},
        {"optimizer": {"name": "rmsprop", "momentum": 0.5}, "schedule": "one_cycle"},
        {"optimizer": {"name": "sgd", "nesterov": True}, "clip_value": 0.1},
        {"optimizer": "adagrad"},
        {"optimizer": "muon", "decay": "all"},
        {"average": {"name": "ema", "decay": 0.9}, "sampling": "balanced", "loss": "focal"},
        {"average": {"name": "swa", "start": 0.4}, "schedule": "warmup_stable_decay"},
    ],
    ids=[
        "default",
        "accumulate-clip-l1",
        "sgd-plateau",
        "rmsprop-one-cycle",
        "nesterov-clip-value",
        "adagrad",
        "muon",
        "ema",
        "swa",
    ],
)
def test_stopped_anywhere_and_run_again_gives_the_same_weights(tmp_path: Path, sections: dict[str, object]) -> None:
    whole = fit(tmp_path / "whole", sections)
    for attempt in range(40):
        try:
            # The first pass is for the description; then a step (or the validation after an epoch) is cut short.
            again = fit(tmp_path / "broken", sections, StopsAfter(3 + attempt % 4))
            break
        except Stopped:
            continue
    assert attempt >= 5, "it was hardly stopped: the test proves nothing"
    assert again.weights_hash == whole.weights_hash
    for left, right in zip(again.history, whole.history, strict=True):
        assert {k: v for k, v in left.items() if k != "seconds"} == {k: v for k, v in right.items() if k != "seconds"}


def test_a_second_run_reads_what_is_there(tmp_path: Path) -> None:
    first = fit(tmp_path, {})
    stamp = (tmp_path / "run/train/best.safetensors").stat().st_mtime_ns
    second = fit(tmp_path, {}, StopsAfter(2))  # one pass describes it, one answers below: none is left for training
    assert second.weights_hash == first.weights_hash
    assert (tmp_path / "run/train/best.safetensors").stat().st_mtime_ns == stamp
    inputs = prepared(tmp_path / "data", "sold", INPUTS).split("test").inputs
    np.testing.assert_array_equal(outputs(first.network, inputs), outputs(second.network, inputs))


def test_the_process_is_as_it_was_after_training(tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    fit(tmp_path, {"epochs": 1})
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert float(torch.tensor(1e-38) * 1e-3) > 0, "denormals are numbers again"


def test_other_options_do_not_take_up_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(tmp_path, {}, StopsAfter(8))
    assert fit(tmp_path, {"l1": 0.1}).weights_hash == fit(tmp_path / "fresh", {"l1": 0.1}).weights_hash


def test_the_best_epoch_is_kept_and_early_stopping_ends_the_run(tmp_path: Path) -> None:
    sections = {"epochs": 60, "optimizer": {"name": "adamw", "lr": 0.05}, "early_stop": {"patience": 3}}
    trained = fit(tmp_path, sections)
    losses = [row["log_loss"] for row in trained.history]
    assert trained.best_epoch == int(np.argmin(losses))
    assert trained.facts["stopped_early"]
    assert len(losses) == trained.best_epoch + 1 + 3 < 60
    data = prepared(tmp_path / "data", "sold", INPUTS).split("validation")
    found = torch.from_numpy(outputs(trained.network, data.inputs))
    loss = default_loss(trained.network.task).value(found, torch.from_numpy(data.target.copy()), None).item()
    assert loss == pytest.approx(losses[trained.best_epoch], rel=1e-4)


def test_it_learns_what_there_is_to_learn(tmp_path: Path) -> None:
    history = fit(tmp_path, {"epochs": 30}, target="size").history
    assert history[-1]["r2"] > 0.6


def test_history_is_written_for_people_and_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained = fit(tmp_path, {"epochs": 3})
    lines = [json.loads(line) for line in (tmp_path / "run/train/history.jsonl").read_text().splitlines()]
    assert lines == [dict(row) for row in trained.history]
    events = EventAccumulator(str(tmp_path / "run/train"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([row["loss"] for row in lines])


def test_the_weights_open_elsewhere(tmp_path: Path) -> None:
    trained = fit(tmp_path, {"epochs": 1})
    weights = load_file(trained.weights)
    assert set(weights) == set(trained.network.state_dict())
    np.testing.assert_array_equal(weights["head.0.weight"], trained.network.head[0].weight.detach().numpy())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_rows_and_gradients(tmp_path: Path) -> None:
    with pytest.raises(
        NonFiniteLossError,
        match=r"the loss became (nan|inf) at step \d+ \(it began in layer .*; training rows .*gradients: ",
    ):
        fit(tmp_path, {"optimizer": {"name": "sgd", "lr": 1e20}}, target="size")
    facts = json.loads((tmp_path / "run/train/nonfinite.json").read_text())
    assert len(facts["rows"]) == 16
    assert facts["gradients"][0][0].startswith(("encoders.0", "head"))


def test_class_weights_are_checked_against_the_classes(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"class_weights\.yess is not a class of the target; there are no, yes"
    ) as caught:
        fit(tmp_path, {"class_weights": {"yess": 2.0, "no": 1.0}})
    assert caught.value.faults[-1].hint == "did you mean yes?"
    with pytest.raises(RecipeError, match="target size has no classes"):
        fit(tmp_path, {"class_weights": "balanced"}, target="size")


def test_a_heavier_class_is_answered_more_often(tmp_path: Path) -> None:
    inputs = prepared(tmp_path / "data", "sold", INPUTS).split("validation").inputs
    plain = fit(tmp_path / "a", {"epochs": 2})
    heavy = fit(tmp_path / "b", {"epochs": 2, "class_weights": {"yes": 20.0, "no": 1.0}})
    assert outputs(heavy.network, inputs).mean() > outputs(plain.network, inputs).mean() + 0.5


def test_a_monitor_that_does_not_fit_names_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train\.early_stop\.monitor has r2, which does not fit a binary target"):
        fit(tmp_path, {"early_stop": {"monitor": "r2"}})


def test_a_monitor_that_one_row_does_not_tell_is_told(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "size", INPUTS)
    for file in (tmp_path / "data/validation").iterdir():
        np.save(file, np.load(file)[:1])
    asked = recipe(train={"epochs": 2, "early_stop": {"monitor": "r2"}})
    trained = train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    assert "monitor_undefined" in [one.key for one in trained.findings]


def test_the_validation_loss_may_be_watched_whatever_the_loss(tmp_path: Path) -> None:
    from danlu.evaluate.score import check_metrics
    from danlu.tasks.task import task_for

    asked = recipe(train={"early_stop": {"monitor": "validation_loss"}})
    check_metrics(asked, task_for(prepared(tmp_path / "data", "sold", INPUTS).schema.target))
    found = fit(tmp_path, {"early_stop": {"monitor": "validation_loss", "patience": 2}})
    assert found.facts["monitor"] == "validation_loss"
    assert found.best_epoch == int(np.argmin([row["validation_loss"] for row in found.history]))
    with pytest.raises(RecipeError, match=r"did you mean validation_loss\?"):
        recipe(train={"early_stop": {"monitor": "validation_los"}})


def test_accumulated_parts_equal_one_batch(tmp_path: Path) -> None:
    no_dropout = {"encoders": {"*": {"name": "mlp", "dropout": 0.0}}}
    found = []
    for folder, section in (("a", {"batch_size": 16}), ("b", {"batch_size": 4, "accumulate": 4})):
        asked = recipe(train={"epochs": 2, **section}, design=no_dropout)
        data = prepared(tmp_path / folder, "sold", INPUTS)
        found.append(train(asked, design(asked, data.schema), data, Run(tmp_path / folder / "run")).history[-1]["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_clipping_by_value_bounds_each_gradient(tmp_path: Path) -> None:
    sections = {"optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0}, "schedule": "constant", "epochs": 1}
    data = prepared(tmp_path / "data", "sold", INPUTS)
    start = design(recipe(), data.schema).state_dict()
    moved = fit(tmp_path, {**sections, "batch_size": 64, "clip_value": 1e-3}).network.state_dict()
    largest = max(float((moved[name] - start[name]).abs().max()) for name in start)
    assert largest == pytest.approx(1e-3, rel=1e-3)


def test_balanced_rows_of_a_number_are_refused(tmp_path: Path) -> None:
    message = r"train\.sampling is balanced, but the target size is not one of several classes"
    with pytest.raises(RecipeError, match=message):
        fit(tmp_path, {"sampling": "balanced"}, target="size")


def test_balanced_rows_answer_the_rare_class_more_often(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "sold", INPUTS)
    target = np.load(tmp_path / "data/train/target.npy")
    keep = np.concatenate([np.flatnonzero(target == 0), np.flatnonzero(target == 1)[:4]])
    for path in (tmp_path / "data/train").glob("*.npy"):
        np.save(path, np.load(path)[keep])
    rare = replace(data, sizes={**data.sizes, "train": len(keep)})
    found = []
    for sampling in ("uniform", "balanced"):
        asked = recipe(train={"epochs": 4, "batch_size": 8, "optimizer": ADAM, "sampling": sampling})
        trained = train(asked, design(asked, rare.schema), rare, Run(tmp_path / sampling))
        found.append(outputs(trained.network, rare.split("test").inputs).mean())
    assert found[1] > found[0] + 0.5


def test_decay_all_without_any_decay_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"neither train\.optimizer\.weight_decay nor train\.l1 is set"):
        recipe(train={"optimizer": "sgd", "decay": "all"})


def test_a_disk_that_refuses_stops_the_run_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(parents=True)
    (tmp_path / "run/train").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="could not write"):
        fit(tmp_path, {})
