# ruff: noqa: E501 (tables are easier to read unbroken)
"""Every fault of a recipe is told with its place, what is allowed and the fix; all of them at once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import RecipeError
from danlu.recipe.reading import read_recipe, recipe_from
from danlu.recipe.schema import Recipe, SplitBy

GOOD = "data: census.csv\ntarget: income\n"


def write(folder: Path, text: str | bytes, name: str = "recipe.yaml") -> Path:
    (folder / "census.csv").write_text("age,income\n1,2\n")
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    """The faults as they are shown, with the folder left out."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(write(folder, text), overrides)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_two_lines_are_a_whole_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    assert (recipe.name, recipe.data.source, recipe.data.target) == ("census", "census.csv", "income")
    assert recipe.train.optimizer.name == "auto"
    assert recipe.base == tmp_path


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("train: {epocs: 5}", "train.epocs is not an option of train", "3:9 · fix: did you mean epochs?"),
        ("trian: {}", "trian is not an option of a recipe", "3:1 · fix: did you mean train?"),
        ("epochs: 5", "epochs is not an option of a recipe", "3:1 · fix: did you mean train.epochs?"),
        ("train: {zzz: 5}", "train.zzz is not an option of train", "3:9 · fix: remove it; there are optimizer, schedule"),
        ("train: {epochs: ten}", "train.epochs must be a whole number or auto, not the text 'ten'", "3:9"),
        ("train: {epochs: 2.5}", "train.epochs must be a whole number or auto, not 2.5", "3:9"),
        ("train: {epochs: 0}", "train.epochs must be >= 1, not 0", "3:9"),
        ("train: {epochs: '5'}", "train.epochs must be a whole number or auto, not the text '5'", "write 5 without quotes"),
        ("train: {l1: -0.5}", "train.l1 must be >= 0, not -0.5", "3:9"),
        ("train: {l1: .nan}", "train.l1 must be a finite number, not nan", "3:9"),
        ("train: {l1: }", "train.l1 must be a number, not nothing", "remove the line, or write a value"),
        ("train:", "train must be a mapping of options, not nothing", "3:1"),
        ("train: {early_stop: false}", "train.early_stop must be a mapping of options, not false", "write null to"),
        ("train: {early_stop: {monitor: acuracy}}", "train.early_stop.monitor is acuracy, which is not one of", "accuracy?"),
        ("train: {device: gpu}", "train.device is gpu, which is not one of auto, cpu, cuda", "3:9"),
        ("train: {optimizer: admw}", "train.optimizer is admw, which is not one of auto, sgd, adam, adamw", "mean adamw?"),
        ("train: {optimizer: {nam: sgd}}", "train.optimizer.nam is not an option of adamw", "did you mean name?"),
        ("train: {optimizer: {name: sgd, lr: -1}}", "train.optimizer.lr must be > 0, not -1", "3:32"),
        ("train: {optimizer: {name: sgd, lrr: 1}}", "train.optimizer.lrr is not an option of sgd", "did you mean lr?"),
        ("train: {optimizer: {name: 5}}", "train.optimizer.name is 5, which is not one of", "3:21"),
        ("train: {optimizer: 5}", "train.optimizer must be one of auto, sgd, adam, adamw, rmsprop, adagrad, muon, or a mapping", "3:9"),
        ("train: {class_weights: {yes: -1}}", "train.class_weights.yes must be > 0, not -1", "3:25"),
        ("train: {class_weights: balance}", "train.class_weights must be balanced or a mapping", "mean balanced?"),
        ("prepare: {split: {test: 1.5}}", "prepare.split.test must be < 1, not 1.5", "3:19"),
        ("prepare: {split: {test: 0.95}}", "prepare.split leaves no training rows: validation 0.1 and test 0.95", "3:11"),
        ("prepare: {split: {by: stratifed}}", "prepare.split.by must be stratified, random or a mapping", "stratified?"),
        ("prepare: {split: {by: {grup: a}}}", "prepare.split.by.grup is not an option of prepare.split.by", "mean group?"),
        ("prepare: {split: {by: {group: a, time: b}}}", "prepare.split.by has group and time; it takes one of", "3:19"),
        ("prepare: {split: {by: {}}}", "prepare.split.by is empty; it takes one of group, time, column", "3:19"),
        ("prepare: {accept: leak}", "prepare.accept must be a list, not the text 'leak'", "3:11"),
        ("design: {encoders: {age: mlpp}}", "design.encoders.age is mlpp, which is not one of mlp, table_resnet", "mean mlp?"),
        ("design: {encoders: {age: {dropout: 0}}}", "design.encoders.age.name is missing", "add a name: one of mlp, table_resnet"),
        ("evaluate: {metrics: [f1, acuracy]}", "evaluate.metrics.1 is acuracy, which is not one of", "3:26"),
        ("evaluate: {metrics: []}", "evaluate.metrics must be a list of at least 1, not a list", "3:12"),
        ("evaluate: {baselines: [mean]}", "evaluate.baselines.0 must be majority or boosting, not the text 'mean'", "3:24"),
        ("compress: {try: [int8_dynamic, int8_dynamic]}", "compress.try.1 is int8_dynamic a second time", "3:32"),
        ("compress: {try: int8}", "compress.try must be a list, not the text 'int8'", "3:12"),
        ("deploy: {variant: int8_static}", "deploy.variant is int8_static, which compress.try does not make", "add int8_static"),
        ("deploy: {variant: fp16}", "deploy.variant is fp16, which is not one of auto, fp32, int8_dynamic", "3:10"),
        ("require: {acuracy: '>= 1'}", "require.acuracy is not something that can be required", "did you mean accuracy?"),
        ("require: {accuracy: 0.9}", 'require.accuracy must be a comparison such as ">= 0.85", not 0.9', 'write ">= 0.9"'),
        ("require: {accuracy: '=> 0.9'}", "require.accuracy must be a comparison", "an operator (>=, <=, >, <) and a number"),
        ("seed: -1", "seed must be >= 0, not -1", "3:1"),
        ("seed: true", "seed must be a whole number, not true", "3:1"),
        ("name: a b", "name is 'a b'; a name is made of letters", "write a-b"),
        ("name: ../a", "name is '../a'; a name is made of letters", "3:1"),
        ("target: b", "target is given twice; the first is in line 2", "3:1 · fix: keep one of them"),
    ],
)  # fmt: skip
def test_one_fault(tmp_path: Path, text: str, message: str, place: str) -> None:
    found = faults(tmp_path, GOOD + text + "\n")
    assert len(found) == 1, found
    first, second = found[0].split("\n")
    assert first.startswith(message)
    assert second.startswith("  recipe.yaml:3:")
    assert place in second


@pytest.mark.parametrize(
    ("columns", "message", "fix"),
    [
        ("{age: numbr}", "data.columns.age is numbr, which is not one of number, category", "did you mean number?"),
        ("{age: 5}", "data.columns.age must be one of number, category", ""),
        ("{age: {type: number, mising: mean}}", "data.columns.age.mising is not an option of number", "mean missing?"),
        ("{age: {type: number, missing: avg}}", "data.columns.age.missing must be drop, constant", ""),
        ("{age: {mising: mean}}", "data.columns.age.mising is not an option of any column", "did you mean missing?"),
        ("{income: ignore}", "data.columns.income is ignore, but it is the target", "remove the line"),
        ("{income: {type: ignore}}", "data.columns.income is ignore, but it is the target", "remove the line"),
    ],
)
def test_columns(tmp_path: Path, columns: str, message: str, fix: str) -> None:
    found = faults(tmp_path, f"data: {{source: census.csv, target: income, columns: {columns}}}")
    assert len(found) == 1, found
    assert found[0].startswith(message)
    assert fix in found[0]


@pytest.mark.parametrize(
    ("data", "message", "place"),
    [
        ("data: census.csv", "target is missing", "recipe.yaml:1:1 · fix: add `target: COLUMN`"),
        ("target: income", "data is missing", "recipe.yaml:1:1 · fix: add `data: FILE`"),
        ("data: cencus.csv\ntarget: income", "data is cencus.csv, and there is no such file", "did you mean census.csv?"),
        ("data: no/such.csv\ntarget: a", "data is no/such.csv, and there is no such file", "paths begin at the recipe's"),
        ("data: [census.csv, b.csv]\ntarget: a", "data.1 is b.csv, and there is no such file", "1:20"),
        ("data: '*.tsv'\ntarget: a", "data is *.tsv, which matches no file", "1:1"),
        ("data: ''\ntarget: a", "data is empty", "1:1 · fix: write a path"),
        ("data: []\ntarget: a", "data is an empty list", "1:1"),
        ("data: 5\ntarget: a", "data must be a path or sample:NAME, not 5", "1:1"),
        ("data: {target: a}", "data has no source", "1:1 · fix: add `source: FILE`"),
        ("data: {train: census.csv, target: a}", "data has train without test", "add `test: FILE`"),
        ("data: {source: census.csv, test: census.csv, target: a}", "data.source stands beside data.test", "1:8"),
        ("data: {source: census.csv, target: a}\ntarget: b", "target is given twice: as target and as data.target", "2:1"),
        ("data: census.csv\ntarget: 5", "target must be text, not 5", 'write it in quotes: "5"'),
        ("data: census.csv\ntarget: ''", "target must be a text of at least 1 characters, not the text ''", "2:1"),
        ("data: {source: census.csv, target: a, reader: xls}", "data.reader is xls, which is not one of csv", "1:39"),
        ("data: {source: census.csv, target: a, missing_values: [-9]}", "data.missing_values.0 must be text, not -9", '"-9"'),
    ],
)  # fmt: skip
def test_sources(tmp_path: Path, data: str, message: str, place: str) -> None:
    found = faults(tmp_path, data)
    assert len(found) == 1, found
    assert found[0].startswith(message)
    assert place in found[0]


def test_all_faults_in_one_report_sorted_by_line(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        "require: {accuracy: 1, latency: '< 5'}\ndata: {source: no.csv, columns: {a: numbr}}\nnmae: x\n"
        "deploy: {variant: int8}\ntrain:\n  epocs: 3\n  l1: -1\n  optimizer: {lr: 0}\nprepare: {split: {test: 1}}\n",
    )
    lines = [int(fault.split("recipe.yaml:")[1].split(":")[0]) for fault in found]
    assert lines == [1, 1, 2, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the recipe is empty\n  recipe.yaml:1:1 · fix: two lines are a whole recipe"),
        ("# nothing\n", "the recipe is empty"),
        ("- a\n", "the recipe must be a mapping of options, not a list"),
        ("data:census.csv", "the recipe must be a mapping of options, not the text 'data:census.csv'\n  recipe.yaml:1:1 · fix: put a"),
        ("train:\n\tepochs: 5\n", "the recipe cannot be read: a tab indents this line\n  recipe.yaml:2:1 · fix: indent with"),
        ("data: a: b\n", "the recipe cannot be read: a colon stands where none may be\n  recipe.yaml:1:8"),
        ("data: x\ntarget\nseed: 2\n", "the recipe cannot be read: a line has no `key: value`\n  recipe.yaml:2:1"),
        ("data: [a\nb: 2", "the recipe cannot be read: while parsing a flow sequence expected ',' or ']'"),
        ("data: 'x", "the recipe cannot be read: while scanning a quoted scalar"),
        ("data: @x", "the recipe cannot be read: found character '@' that cannot start any token\n  recipe.yaml:1:7 · fix: quote"),
        ("data: *x", "the recipe cannot be read: found undefined alias 'x'"),
        ("data: x\n---\ndata: y\n", "the recipe has a second document\n  recipe.yaml:2:1"),
        ("data: \x01", "the recipe is not text: it has a character that YAML does not allow\n  recipe.yaml:1"),
        (b"data: \xb2\xe2.csv", "recipe.yaml is not UTF-8 text\n  recipe.yaml:1:1 · fix: save it as UTF-8"),
        ("data: &a [*a]\n", "the recipe contains itself through an alias\n  recipe.yaml:1:7"),
        ("a: " + "[" * 600, "the recipe is nested too deeply"),
        ("data: x\n#" + " " * 1_000_000, "recipe.yaml is larger than 1 MB, which no recipe is"),
    ],
)  # fmt: skip
def test_text_that_is_no_recipe(tmp_path: Path, text: str | bytes, message: str) -> None:
    found = faults(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(message)


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert faults(tmp_path, "\n".join(lines))[0].startswith("the recipe expands to more than 100,000 values")


def test_tags_name_nothing(tmp_path: Path) -> None:
    found = faults(tmp_path, GOOD + "seed: !!python/object:os.system 3\ntrain: !x {epochs: 3}\n")
    assert [fault.split("\n")[0] for fault in found] == [
        "seed has the tag tag:yaml.org,2002:python/object:os.system; a recipe has none",
        "train has the tag !x; a recipe has none",
    ]


def test_a_number_too_long_to_read(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD + "seed: " + "9" * 5000)[0].startswith("seed is not a number that can be read: 999")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(RecipeError, match=r"recipes\.yaml does not exist\n.*did you mean .*recipe\.yaml"):
        read_recipe(tmp_path / "recipes.yaml")
    with pytest.raises(RecipeError, match=r"is a folder, not a recipe"):
        read_recipe(tmp_path)
    with pytest.raises(
        RecipeError, match=r"census\.csv is data, not a recipe\n.*danlu init .*census\.csv --target COLUMN"
    ):
        read_recipe(tmp_path / "census.csv")
    assert read_recipe(path).name == "census"


def test_merge_keys_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeff" + GOOD + "train: {optimizer: &a {name: sgd, lr: 0.5}}\ncompress: {try: []}\n"
    assert read_recipe(write(tmp_path, text)).train.optimizer.options["lr"] == 0.5
    base = "train: {<<: &t {epochs: 3, l1: 0.5}, l1: 0.25}\n"
    train = read_recipe(write(tmp_path, GOOD + base)).train
    assert (train.epochs, train.l1) == (3, 0.25)
    assert "epocs is not an option" in faults(tmp_path, GOOD + "train: {<<: {epocs: 3}}\n")[0]


def test_keys_are_texts(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD + "train: {class_weights: {0: 1, 1: 2.5, true: 3}}\n"))
    assert recipe.train.class_weights == {"0": 1.0, "1": 2.5, "true": 3.0}
    assert faults(tmp_path, GOOD + "train: {[a]: 3}\n")[0].startswith("train has a key that is not a text")


def test_a_python_recipe_tells_its_faults() -> None:
    with pytest.raises(RecipeError, match=r"2 |train\.epocs is not an option of train\n  fix: did you mean epochs\?"):
        Recipe(data={"source": "sample:iris", "target": "species"}, train={"epocs": 5})
    with pytest.raises(RecipeError, match=r"data is missing"):
        Recipe()
    recipe = Recipe(data="sample:iris", target="species", prepare={"split": {"by": SplitBy(group="a")}})
    assert recipe == recipe_from(
        {"data": "sample:iris", "target": "species", "prepare": {"split": {"by": {"group": "a"}}}}
    )


def test_frames_are_sources() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": [0, 1]})
    recipe = recipe_from({"data": {"source": frame, "target": "b"}})
    assert recipe.name == "frame"
    assert recipe.data.source is frame
    assert recipe == recipe_from({"data": frame, "target": "b"})
    assert recipe != recipe_from({"data": frame.clone(), "target": "b"})
    with pytest.raises(RecipeError, match="data must be a path or sample:NAME, not a object"):
        recipe_from({"data": object(), "target": "b"})


def test_relative_paths_begin_at_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "data.csv").write_text("a,b\n")
    path = tmp_path / "inner" / "recipe.yaml"
    path.write_text("data: ../data.csv\ntarget: b\n")
    recipe = read_recipe(path)
    assert (recipe.base / recipe.data.source).exists()
    assert recipe == recipe_from({"data": "../data.csv", "target": "b"}, need_sources=False)
