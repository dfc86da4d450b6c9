"""Every command on a little real data: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from danlu.cli.app import COMMANDS, execute
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.recipe.reading import read_recipe

QUICK = ["train.epochs=2", "evaluate.bootstrap=20", "evaluate.baselines=[majority]", "compress.try=[int8_dynamic]"]
MODULE = "import sys; from danlu.cli import main; main()"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one finished run of `sample:iris`."""
    folder = tmp_path_factory.mktemp("cli") / "runs"
    assert execute(["run", "sample:iris", *QUICK, "--runs", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: sample:iris\ntarget: species\n")
    return path


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    return subprocess.run([sys.executable, "-c", MODULE, *arguments], text=True, capture_output=True, **options)  # type: ignore[call-overload,no-any-return]


def test_quiet_says_nothing(recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert execute(["prepare", str(recipe), "--runs", str(tmp_path), "-q"]) == 0
    assert capfd.readouterr() == ("", "")


def test_a_second_run_does_nothing_and_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", "sample:iris", *QUICK, "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("nothing to do: everything is up to date\n")
    for text in ("accuracy  on 30 test rows", "majority", "int8_dynamic", "released: fp32", "proved on 30 test rows"):
        assert text in shown
    bundle = next(line.split()[1] for line in shown.splitlines() if line.startswith("bundle"))
    assert (Path(bundle) / "manifest.json").exists()


def test_steps_do_what_is_missing_before_them(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(recipe), "train.epochs=1", "--runs", str(tmp_path / "runs")]
    assert execute(["prepare", *arguments]) == 0
    assert "rows: train 105 · validation 15 · test 30\n4 columns predict species" in capsys.readouterr().out
    assert execute(["design", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "prepare  up to date" in shown
    assert "parameters · " in shown
    assert execute(["train", *arguments]) == 0
    assert (tmp_path / "runs" / "iris-0001" / "train" / "step.json").exists()
    assert not (tmp_path / "runs" / "iris-0001" / "evaluate").exists()


def test_requirements_that_are_not_met_end_with_3(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require = "require={accuracy: '> 1', size_mb: '< 100'}"
    assert execute(["run", "sample:iris", *QUICK, require, "--runs", str(runs), "-q"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("RequirementError: not released: accuracy is ")
    assert "size_mb   < 100" in error
    assert [line.split()[-1] for line in error.splitlines()[-2:]] == ["MISSED", "met"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_metric_that_does_not_fit_is_refused_before_training(
    recipe: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with recipe.open("a") as file:
        file.write('require:\n  size_mb: "<= 9"\n  r2: ">= 0.5"\nevaluate: {metrics: [accuracy, mae]}\n')
    runs = tmp_path / "runs"
    assert execute([command, str(recipe), *(["--runs", str(runs)] if command == "run" else [])]) == 2
    shown = capsys.readouterr().err
    assert "RecipeError: 2 faults" in shown
    assert "require.r2 does not fit a multiclass target; those that fit: accuracy, " in shown
    assert f"  {recipe}:5:3 · fix: require accuracy instead" in shown
    assert "evaluate.metrics has mae, which does not fit a multiclass target" in shown
    assert f"  {recipe}:6:12 · fix: " in shown
    assert not list(runs.glob("iris-*/train"))


def test_a_condition_needs_no_second_quotes(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", str(recipe), "require.accuracy=>= 0.5", "require.size_mb=<=2"]) == 0
    assert execute(["check", str(recipe), "require.accuracy=> x"]) == 2


def test_a_sample_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", "sample:iriss"]) == 2
    assert "there is no sample:iriss; there are sample:breast_cancer, " in (shown := capsys.readouterr().err)
    assert "fix: did you mean sample:iris?" in shown


def test_check_forecasts(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", str(recipe)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{recipe} is right\n")
    told = ("network     tabm (4 columns)", "optimizer   adamw, lr 0.001")
    for text in ("rows        train 105", "parameters", "MB to train", *told):
        assert text in shown
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"], "check writes nothing"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("design: {encoders: {'*': cnn}}", "design.encoders.* is cnn, which cannot take the number column"),
        ("train: {shuffle: {block_mb: 10, window_mb: 1}}", "window_mb is 1, less than one block (block_mb 10)"),
        ("train: {class_weights: {setosa: 2}}", "train.class_weights leaves out versicolor, virginica"),
    ],
)
def test_what_only_data_bring_to_light_is_told_with_its_line(
    line: str, message: str, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(recipe.read_text() + line + "\n")
    assert execute(["check", str(recipe)]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert f"{recipe}:3:" in told


def test_check_tells_every_fault(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text("data: sample:iris\ntarget: species\ntrain: {epocs: 5}\nseed: -1\n")
    assert execute(["check", str(recipe), "evaluate.bootstrap=x"]) == 2
    assert capsys.readouterr().err == (
        "RecipeError: 3 faults\n"
        "evaluate.bootstrap must be a whole number, not the text 'x'\n  override evaluate.bootstrap=x\n"
        f"train.epocs is not an option of train\n  {recipe}:3:9 · fix: did you mean epochs?\n"
        f"seed must be >= 0, not -1\n  {recipe}:4:1\n"
    )


def test_one_fault_needs_no_heading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", str(tmp_path / "no.yaml")]) == 2
    path = tmp_path / "no.yaml"
    assert capsys.readouterr().err == (
        f"RecipeError: {path} does not exist\n  {path} · fix: danlu init DATA --target COLUMN writes one\n"
    )


def test_init_writes_a_recipe_that_runs_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "人口.csv"
    data.write_text("年龄,收入\n" + "".join(f"{n * 37 % 41},{'高' if n % 2 else '低'}\n" for n in range(40)))
    output = tmp_path / "recipes" / "r.yaml"
    output.parent.mkdir()
    arguments = ["init", str(data), "--target", "收入", "-o", str(output)]
    assert execute(arguments) == 0
    assert f"danlu check {output}" in capsys.readouterr().out
    recipe = read_recipe(output)
    assert (recipe.name, recipe.data.target) == ("人口", "收入")
    schema = output.parent / "danlu.schema.json"
    assert json.loads(schema.read_text())["title"] == "Danlu recipe"
    assert output.read_text().startswith(f"# yaml-language-server: $schema={schema.name}\n")
    output.write_text("mine")
    assert execute(arguments) == 1
    assert "r.yaml exists already" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert execute([*arguments, "--force"]) == 0
    assert output.read_text() != "mine"


def test_init_asks_for_the_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("age,income\n1,2\n")
    assert execute(["init", str(tmp_path / "a.csv"), "-o", str(tmp_path / "r.yaml")]) == 2
    assert "no column to predict was named" in (error := capsys.readouterr().err)
    assert "add --target with one of age, income" in error
    assert execute(["init", "sample:wine", "-o", str(tmp_path / "wine.yaml")]) == 0
    assert read_recipe(tmp_path / "wine.yaml").data.target == "cultivar"


def test_predict_keeps_the_rows_order(runs: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    bundle = str(next(runs.glob("iris-*/bundle")))
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "petal_width,sepal_length,sepal_width,petal_length,备注\n0.2,5.1,3.5,1.4,甲\n,,,,\n2.3,7.7,?,6.9,乙\n"
    )
    assert execute(["predict", bundle, str(rows)]) == 0
    shown = capfdbinary.readouterr().out.decode()
    found = pl.read_csv(shown.encode())
    assert found.columns == ["prediction", *(f"probability_{name}" for name in ("setosa", "versicolor", "virginica"))]
    assert found.height == 3
    output = tmp_path / "out.jsonl"
    assert execute(["predict", bundle, str(rows), "-o", str(output)]) == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["prediction"] for line in lines] == found["prediction"].to_list()
    assert execute(["predict", bundle, str(rows), "-o", str(tmp_path / "out.txt"), "--format", "csv"]) == 0
    assert (tmp_path / "out.txt").read_text() == shown


def test_sentences_in_a_file_of_another_name_are_told_how_to_be_read() -> None:
    from danlu.base.errors import DataError
    from danlu.cli.predict import check_tokens

    rows = pl.DataFrame({"tokens": [["in", "Rome"]] * 2, "tags": [["O", "B-LOC"]] * 2})
    target = fit_column("tags", "tags", {"of": None}, rows["tags"])
    schema = Schema((fit_column("tokens", "tokens", {}, rows["tokens"]),), target)
    check_tokens("new.conll", rows, schema)
    with pytest.raises(DataError, match=r"new\.txt has no column tokens; it has a, b\n.*let its name end in \.conll"):
        check_tokens("new.txt", pl.DataFrame({"a": ["in"], "b": ["O"]}), schema)


def test_predict_reads_a_pipe_and_imports_no_torch(runs: Path) -> None:
    bundle = str(next(runs.glob("iris-*/bundle")))
    code = (
        "import sys; from danlu.cli.app import execute; code = execute(sys.argv[1:])\n"
        "print(*{'torch', 'sklearn', 'onnx', 'pandas'} & sys.modules.keys(), file=sys.stderr); sys.exit(code)"
    )
    rows = "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", bundle, "-"], input=rows, text=True, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, "\n")
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("sepal_width,petal_length,petal_width\n1,2,3\n", "the column sepal_length is not in the data"),
        ("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,x\n", "column petal_width, row 0"),
    ],
)
def test_predict_names_what_is_wrong(
    runs: Path, tmp_path: Path, rows: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    assert execute(["predict", str(next(runs.glob("iris-*/bundle"))), str(tmp_path / "rows.csv")]) == 2
    assert message in capsys.readouterr().err


def test_predict_never_writes_one_format_under_anothers_name(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "answers.parquet"
    assert execute(["predict", str(next(runs.glob("iris-*/bundle"))), "sample.csv", "-o", str(output)]) == 2
    assert "does not say how to write; name it answers.csv or answers.jsonl, or add --format" in (
        " ".join(capsys.readouterr().err.split())
    )
    assert not output.exists()


def test_predict_speaks_of_standard_input_not_of_a_file_of_ours(runs: Path) -> None:
    done = program("predict", str(next(runs.glob("iris-*/bundle"))), "-", input="")
    assert done.returncode == 2
    assert done.stderr.startswith("DataError: read as csv, standard input is empty\n  standard input · fix: ")
    rows = "sepal_length,sepal_width,petal_length,petal_width\n1,2,3,x\n"
    done = program("predict", str(next(runs.glob("iris-*/bundle"))), "-", input=rows)
    assert done.returncode == 2
    assert "fix: mend the value, or leave it empty (null) where it is missing" in done.stderr


def test_predict_names_the_files_of_pictures(tmp_path: Path) -> None:
    from danlu.cli.predict import with_files
    from danlu.columns.column import fit_column
    from danlu.columns.schema import Schema

    pixels = pl.Series("photo", [[[0, 9], [9, 0]], [[9, 0], [0, 9]]])
    kinds = pl.Series("kind", ["a", "b"])
    schema = Schema(
        (fit_column("photo", "image", {}, pixels),), fit_column("kind", "category", {"missing": "drop"}, kinds)
    )
    answers = pl.DataFrame({"prediction": ["a", "b"]})
    named = with_files(answers, pl.DataFrame({"photo": ["x/1.png", "x/2.png"], "other": [1, 2]}), schema)
    assert named.columns == ["photo", "prediction"]
    for rows in (pl.DataFrame({"photo": pixels}), pl.DataFrame({"other": [1, 2]})):  # rows may lack a column
        assert with_files(answers, rows, schema).columns == ["prediction"]


def test_predict_refuses_what_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["predict", str(tmp_path / "none"), "rows.csv"]) == 1
    assert capsys.readouterr().err.startswith("BundleError: ")


def test_serve_stays_on_this_machine_unless_told(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(next(runs.glob("iris-*/bundle")))
    assert execute(["serve", bundle, "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "--insecure" in capsys.readouterr().err


def test_serve_says_where_it_listens_and_ends_with_ctrl_c(runs: Path) -> None:
    bundle = str(next(runs.glob("iris-*/bundle")))
    process = subprocess.Popen(
        [sys.executable, "-c", MODULE, "serve", bundle, "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "http://127.0.0.1:" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in error


def test_samples_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["samples"]) == 0
    assert "sample:breast_cancer   569       31  diagnosis" in capsys.readouterr().out
    assert execute(["version"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("danlu 0.")
    assert "\ntorch " in shown


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == 0
    listing = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n  {command.__name__} " in listing
        assert execute([command.__name__, "-h"]) == 0
        assert "Usage: danlu " + command.__name__ in capsys.readouterr().out
    assert "..." not in listing.split("Commands:")[1], "the first sentence of a command's help is cut off"


def test_wrong_command_lines_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["rnu"], "No such command 'rnu'"),
        (["run"], "give a recipe, or a run with --resume"),
        (["run", "r.yaml", "--quite"], "No such option: --quite"),
        (["serve", "b", "--port", "x"], "Input should be a valid integer"),
    ):
        assert execute(arguments) == 2
        assert message in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", MODULE, "run", "sample:digits", "train.early_stop=null", "--runs", str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.endswith("stopped; run the same command again to go on\n")
    assert "Traceback" not in error


def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", MODULE, "samples"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_reader_that_leaves_early_ends_the_program_quietly(runs: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("sepal_length,sepal_width,petal_length,petal_width\n" + "5.1,3.5,1.4,0.2\n" * 20_000)
    bundle = str(next(runs.glob("iris-*/bundle")))
    process = subprocess.Popen(
        [sys.executable, "-c", MODULE, "predict", bundle, str(rows)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["samples", "predict"])
def test_a_full_disk_under_the_output_is_told(runs: Path, tmp_path: Path, command: str) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("sepal_length,sepal_width,petal_length,petal_width\n" + "5.1,3.5,1.4,0.2\n" * 20_000)
    arguments = [str(next(runs.glob("iris-*/bundle"))), str(rows)] if command == "predict" else []
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MODULE, command, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("StorageError: could not write the output: No space left on device\n")
    assert "Traceback" not in done.stderr


def test_a_fault_of_our_own_is_logged(tmp_path: Path) -> None:
    code = "import sys; from danlu.cli.failure import tell; sys.exit(tell(ZeroDivisionError('by zero')))"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 70
    assert done.stderr.startswith("ZeroDivisionError: by zero\nThis is a fault of danlu, not of your data or recipe")
    (log,) = tmp_path.rglob("*.txt")
    assert str(log) in done.stderr
    assert "ZeroDivisionError: by zero" in log.read_text()
    shown = subprocess.run(
        [sys.executable, "-c", code], env={**environment, "DANLU_TRACEBACK": "1"}, capture_output=True, text=True
    )
    assert shown.stderr.startswith("ZeroDivisionError: by zero\n")
    assert shown.stderr.count("by zero") == 2


def test_a_package_that_is_not_installed_names_its_extra(capsys: pytest.CaptureFixture[str]) -> None:
    from danlu.cli.failure import tell

    assert tell(ModuleNotFoundError("No module named 'torch'", name="torch.nn")) == 2
    assert (
        capsys.readouterr().err
        == "MissingExtraError: this needs the package torch\n  fix: pip install 'danlu[train]'\n"
    )


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_tracker_that_is_not_installed_is_told_before_the_data_are_prepared(
    command: str, recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(recipe.read_text() + "train: {track: mlflow}\n")
    without = f"import sys; sys.modules['mlflow'] = None; {MODULE}"
    runs = ["--runs", str(tmp_path / "runs")] if command == "run" else []
    done = subprocess.run([sys.executable, "-c", without, command, str(recipe), *runs], text=True, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.endswith("this needs the package mlflow\n  fix: pip install 'danlu[mlflow]'\n")
    assert not list(tmp_path.glob("runs/*/prepare"))


def test_a_terminal_without_the_letters_still_works(recipe: Path) -> None:
    recipe.write_text("data: 缺.csv\ntarget: a\n")
    done = program("check", str(recipe), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "\\u7f3a.csv" in done.stderr
