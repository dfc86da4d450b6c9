"""Checkpoints: what is kept, what is pruned, what is taken up again when the newest is damaged or the disk refused."""

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from danlu.base.errors import RunError, StorageError
from danlu.base.files import read_json, write_json
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.recipe.schema import Checkpoints as Keep
from danlu.train import train
from danlu.train.keeping.checkpoints import Checkpoints
from danlu.train.keeping.state import Position
from danlu.train.keeping.verified import check
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter


class Heard(Quiet):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def fit(folder: Path, stop: int | None = None, progress: Quiet | None = None, **checkpoints: object) -> Trained:
    section = {"epochs": 6, "batch_size": 16, "checkpoints": {"every_s": 0, **checkpoints}}
    asked, data = recipe(train=section), prepared(folder / "data", "sold", ("x", "city"))
    network = design(asked, data.schema)
    if stop is not None:
        network.encoders[0].table.numbers.register_forward_hook(StopsAfter(stop))
    return train(asked, network, data, Run(folder / "run", progress or Quiet()))


def states(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    return sorted((folder / "run/train/checkpoints").glob("step-*"), reverse=True)


def broken_off(folder: Path) -> None:
    """A run that ended in its third epoch, with two states."""
    with pytest.raises(Stopped):
        fit(folder, 14)
    assert len(states(folder)) == 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return fit(tmp_path_factory.mktemp("whole"))


def test_the_last_and_the_best_are_kept_and_the_others_pruned(tmp_path: Path) -> None:
    trained = fit(tmp_path, keep_last=3, keep_best=2)
    assert [path.name for path in states(tmp_path)] == [f"step-{count:09d}.safetensors" for count in (24, 23, 22)]
    position = Position.from_json(check(states(tmp_path)[0])["position"])
    best = sorted((row["log_loss"], row["epoch"]) for row in trained.history)[:2]
    assert position.kept == [list(one) for one in best]
    there = {path.name for path in (tmp_path / "run/train/checkpoints").glob("best-*")}
    assert {f"best-{epoch:05d}.safetensors" for _, epoch in best} <= there
    assert len(there) <= 3, "those of the states before, and the newest's"
    assert trained.best_epoch == best[0][1]
    left = [path.name for path in (tmp_path / "run/train").rglob("*") if "partial" in path.name]
    assert not left


def test_without_a_rhythm_only_the_last_state_is_written(tmp_path: Path, whole: Trained) -> None:
    assert fit(tmp_path, every_s=3600).weights_hash == whole.weights_hash
    assert [path.name for path in states(tmp_path)] == ["step-000000024.safetensors"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


def lose_best(path: Path) -> None:
    position = Position.from_json(check(path)["position"])
    (path.parent / f"best-{position.best_epoch:05d}.safetensors").unlink()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:3000]), "does not match its hash"),
    "header cut": (lambda path: path.write_bytes(path.read_bytes()[:30]), "cut short"),
    "empty": (lambda path: path.write_bytes(b""), "cut short"),
    "a bit flipped": (flip, "does not match its hash"),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "cut short"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_where_the_newest_is_damaged_the_one_before_is_taken_loudly(name: str, tmp_path: Path, whole: Trained) -> None:
    broken_off(tmp_path)
    damage, reason = DAMAGES[name]
    newest, before = states(tmp_path)
    damage(newest)
    heard = Heard()
    trained = fit(tmp_path, progress=heard)
    assert trained.weights_hash == whole.weights_hash
    (said,) = [text for text in heard.said if text.startswith("warning")]
    assert newest.name in said
    assert before.name in said
    assert newest.with_name(f"damaged-{newest.name}").exists(), "it is set aside, not deleted"
    (finding,) = [one for one in trained.findings if one.key == "checkpoint_damaged"]
    assert reason in finding.message
    assert before.name in finding.message


def test_a_state_whose_best_weights_are_gone_is_not_taken(tmp_path: Path, whole: Trained) -> None:
    with pytest.raises(Stopped):
        fit(tmp_path, 8, keep_last=9)  # in the second epoch: the first one's states know no best weights yet
    lose_best(states(tmp_path)[0])
    trained = fit(tmp_path, keep_last=9)
    assert trained.weights_hash == whole.weights_hash
    damaged = [one for one in trained.findings if one.key == "checkpoint_damaged"]
    assert damaged
    assert all("best-00000.safetensors: they are not there" in one.message for one in damaged)


def test_the_finding_outlives_a_second_kill(tmp_path: Path) -> None:
    broken_off(tmp_path)
    flip(states(tmp_path)[0])
    with pytest.raises(Stopped):
        fit(tmp_path, 4)
    assert [one.key for one in fit(tmp_path).findings].count("checkpoint_damaged") == 1


def test_where_none_is_whole_the_run_says_what_to_do(tmp_path: Path, whole: Trained) -> None:
    broken_off(tmp_path)
    for path in states(tmp_path):
        flip(path)
    for _ in range(2):  # it does not begin anew by itself the second time either
        with pytest.raises(RunError, match=r"no checkpoint of this training is whole: step-.*; step-") as caught:
            fit(tmp_path)
        assert "delete the folder to train from the start" in caught.value.hint
    for path in states(tmp_path):
        path.unlink()
    assert fit(tmp_path).weights_hash == whole.weights_hash


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may grow past a few bytes: what the system answers is a full disk's answer, but for its number."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def live() -> dict[str, torch.Tensor]:
    return {"parameters": torch.arange(1000.0), "buffers/mean": torch.ones(3)}


def begun(position: Position, value: float) -> Position:
    """The position after an epoch whose value is the best so far."""
    return replace(position, epoch=position.epoch + 1, count=position.count + 5, best=value, best_epoch=position.epoch)


def test_what_is_written_is_the_state_at_that_moment(tmp_path: Path) -> None:
    tensors, random = live(), torch.get_rng_state()
    checkpoints = Checkpoints(tmp_path, tensors, "a", Keep())
    checkpoints.begin(Position(count=3))
    tensors["parameters"].zero_()
    checkpoints.wait()
    torch.rand(7)
    found = Checkpoints(tmp_path, tensors, "a", Keep()).take_up()
    assert found == Position(count=3)
    assert torch.equal(tensors["parameters"], torch.arange(1000.0))
    assert torch.equal(torch.get_rng_state(), random)


def test_another_trainings_checkpoints_are_not_taken_up(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, live(), "a", Keep())
    checkpoints.begin(Position(count=3))
    checkpoints.wait()
    assert Checkpoints(tmp_path, live(), "b", Keep()).take_up() is None
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_write_that_fails_in_the_thread_is_raised_by_the_next_call(
    tmp_path: Path,
) -> None:
    tensors = live()
    checkpoints = Checkpoints(tmp_path, tensors, "a", Keep(every_s=0))
    first = Position(count=3)
    checkpoints.begin(first)
    checkpoints.wait()
    tensors["parameters"].zero_()
    with small_disk():
        checkpoints.begin(Position(count=4))
        checkpoints.join()
    assert checkpoints.failed
    with pytest.raises(StorageError, match=r"could not write .*step-000000004\.safetensors"):
        checkpoints.begin(Position(count=5))
    assert not checkpoints.failed
    assert Checkpoints(tmp_path, tensors, "a", Keep()).take_up() == first
    assert torch.equal(tensors["parameters"], torch.arange(1000.0))


def test_best_weights_are_there_before_the_state_that_refers_to_them(tmp_path: Path) -> None:
    """A disk that takes small files but not the state: the best weights may be there, a state without them may not."""
    checkpoints = Checkpoints(tmp_path, live(), "a", Keep())
    position = begun(Position(epoch=0), 0.5)
    checkpoints.keep_weights(replace(position, epoch=0), 0.5, lambda: {"w": torch.zeros(9000)})
    with small_disk():
        checkpoints.begin(position)
        with pytest.raises(StorageError, match=r"could not write .*best-00000\.safetensors"):
            checkpoints.wait()
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("full", [True, False], ids=["full", "read-only"])
def test_a_disk_that_refuses_ends_the_run_and_the_next_goes_on(full: bool, tmp_path: Path, whole: Trained) -> None:
    broken_off(tmp_path)
    kept = {path: path.read_bytes() for path in states(tmp_path)}
    folder = tmp_path / "run/train/checkpoints"
    if not full:  # root writes into read-only folders: a file in the folder's place refuses everybody
        folder.rename(folder.with_name("aside"))
        folder.write_text("not a folder")
    with small_disk() if full else nullcontext(), pytest.raises(StorageError, match="could not write"):
        fit(tmp_path)
    if not full:
        folder.unlink()
        folder.with_name("aside").rename(folder)
    assert {path: path.read_bytes() for path in states(tmp_path)} == kept
    assert not list((tmp_path / "run").rglob("*.partial*"))
    assert fit(tmp_path).weights_hash == whole.weights_hash


def test_lost_weights_of_a_finished_training_are_put_back(tmp_path: Path, whole: Trained) -> None:
    fit(tmp_path)
    weights, heard = tmp_path / "run/train/best.safetensors", Heard()
    flip(weights)
    assert fit(tmp_path, progress=heard).weights_hash == whole.weights_hash
    assert "train: going on from epoch 7, step 1" in heard.said, "nothing was trained again"


@pytest.mark.parametrize(("device", "precision"), [("cpu", "bf16"), ("Tesla T4", "fp32")])
def test_the_engine_is_taken_up_unless_the_kind_of_device_changed(device: str, precision: str, tmp_path: Path) -> None:
    broken_off(tmp_path)
    file = tmp_path / "run/train/engine.json"
    chosen = read_json(file)
    assert chosen["precision"] == "fp32"
    chosen["precision"], chosen["machine"]["device"] = "bf16", device
    write_json(file, chosen)
    assert fit(tmp_path).facts["engine"]["precision"] == precision


def test_a_run_that_went_on_elsewhere_says_so_and_notes_it(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from danlu.train.keeping.verified import write_tensors

    broken_off(tmp_path)
    for path in states(tmp_path):
        metadata, tensors = check(path), load_file(path)
        position = Position.from_json(metadata["position"])
        position.machines[0]["machine"]["torch"] = "1.0"
        write_tensors(path, tensors, {**metadata, "position": position.to_json()})
    heard = Heard()
    trained = fit(tmp_path, progress=heard)
    assert any(f"goes on elsewhere (torch: 1.0 → {torch.__version__})" in text for text in heard.said)
    (finding,) = [one for one in trained.findings if one.key == "machine_changed"]
    assert "cannot be repeated to the last bit" in finding.message
    assert read_json(tmp_path / "run/train/engine.json")["machine"]["torch"] == torch.__version__
