"""Options set on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from danlu.base.errors import RecipeError
from danlu.recipe.reading import read_recipe
from danlu.recipe.schema import Recipe


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "census.csv").write_text("age,income\n1,2\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "data: census.csv\ntarget: income\ntrain:\n  optimizer: sgd\n  epochs: 3\ncompress: {try: [int8_dynamic]}\n"
    )
    return path


def read(path: Path, *overrides: str) -> Recipe:
    return read_recipe(path, overrides)


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(path, *overrides)
    return str(caught.value)


def test_values_are_yaml(path: Path) -> None:
    train = read(path, "train.epochs=5", "train.l1=1e-3", "train.clip_norm=null", "train.early_stop=null").train
    assert (train.epochs, train.l1, train.clip_norm, train.early_stop) == (5, 1e-3, None, None)
    assert read(path, "evaluate.metrics=[f1, accuracy]").evaluate.metrics == ["f1", "accuracy"]
    assert read(path, 'require.accuracy=">= 0.9"').require == {"accuracy": ">= 0.9"}
    assert read(path, "train.optimizer={name: adam, lr: 0.5}").train.optimizer.options["lr"] == 0.5


def test_the_last_override_holds(path: Path) -> None:
    assert read(path, "seed=1", "seed=2").seed == 2


def test_an_option_of_a_component(path: Path) -> None:
    optimizer = read(path, "train.optimizer.lr=0.25").train.optimizer
    assert (optimizer.name, optimizer.options["lr"]) == ("sgd", 0.25)
    schedule = read(path, "train.schedule.warmup=0.2").train.schedule
    assert (schedule.name, schedule.options["warmup"]) == ("cosine", 0.2)
    head = read(path, "design.encoders.age.name=mlp", "design.encoders.age.dropout=0.5").design.encoders["age"]
    assert head.options["dropout"] == 0.5  # type: ignore[union-attr]
    assert read(path, "compress.try.0.per_channel=false").compress.variants[0].options["per_channel"] is False


def test_shorthand_can_be_overridden(path: Path) -> None:
    assert read(path, "target=age").data.target == "age"
    assert read(path, "data.target=age").data.target == "age"
    assert read(path, "data=sample:iris").data.source == "sample:iris"
    assert read(path, "data.columns.age=category").data.columns["age"].type == "category"
    age = read(path, "data.columns.age=number", "data.columns.age.missing=mean").data.columns["age"]
    assert (age.type, age.options) == ("number", {"missing": "mean"})
    assert read(path, 'data.columns."a.b".type=number').data.columns["a.b"].type == "number"
    assert read(path, "prepare.split.by.group=age").prepare.split.by.group == "age"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("train.epocs=5", "train.epocs is not an option of train", "did you mean epochs?"),
        ("train.epochs=ten", "train.epochs must be a whole number or auto, not the text 'ten'", ""),
        ("train.optimizer.lr=-1", "train.optimizer.lr must be > 0, not -1", ""),
        ("train.optimizer.betas=1", "train.optimizer.betas is not an option of sgd", ""),
        ("data=nowhere.csv", "data is nowhere.csv, and there is no such file", ""),
        ("train.epochs.x=1", "train.epochs must be a whole number or auto, not a mapping", ""),
        ("data.reader.header=true", "data.reader.name is missing", "add a name: one of"),
        ("compress.try.3=int8_static", "the override names compress.try.3, but compress.try is a list of 1", "from 0"),
        ("train.epochs", "the override is not path=value", "write it as train.epochs=5"),
        ("=5", "the override is not path=value", ""),
        ("train..epochs=5", "the override is not path=value", ""),
        ("train.epochs=", "the override has no value", "write null for none"),
        ("train.epochs=[1", "the override has a value that is not YAML", "quote it"),
        ("seed=!!python/none 1", "the override has a value that has the tag", "remove the tag"),
    ],
)
def test_a_fault_names_the_override(path: Path, override: str, message: str, hint: str) -> None:
    text = refused(path, override)
    assert text.startswith(message)
    assert f"\n  override {override}" in text
    assert hint in text


def test_faults_of_overrides_and_of_the_file_come_together(path: Path) -> None:
    path.write_text(path.read_text() + "seed: -1\n")
    text = refused(path, "train.epocs=5", "nonsense")
    assert "override nonsense" in text
    assert "override train.epocs=5" in text
    assert "recipe.yaml:7:1" in text
