"""Loading a bundle and predicting with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import BundleError, DataError
from danlu.bundle import load
from danlu.columns.schema import Schema

MakeBundle = Callable[..., Path]


def test_classes_have_a_prediction_and_a_probability_each(
    tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame
) -> None:
    answers = load(make_bundle(tmp_path / "bundle")).predict(frame)
    assert answers.columns == ["prediction", "probability_high", "probability_low"]
    assert answers.height == frame.height
    shares = answers.select("probability_high", "probability_low").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert answers["prediction"].to_list() == [("high", "low")[code] for code in shares.argmax(axis=1)]


def test_numbers_are_answered_in_their_own_unit(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    bundle = load(make_bundle(tmp_path / "bundle", "price"))
    answers = bundle.predict(frame)
    assert answers.columns == ["prediction"]
    assert answers["prediction"].dtype == pl.Float64
    price = frame["price"].cast(pl.Float64)
    expected = bundle.outputs(frame)[:, 0].astype(float) * float(price.to_numpy().std()) + float(price.mean())  # type: ignore[arg-type]
    np.testing.assert_allclose(answers["prediction"].to_numpy(), expected, rtol=1e-4)


def test_three_classes(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    answers = load(make_bundle(tmp_path / "bundle", "grade")).predict(frame.head(5))
    assert answers.columns == ["prediction", "probability_a", "probability_b", "probability_c"]


def test_missing_and_unseen_values_are_answered(tmp_path: Path, make_bundle: MakeBundle) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    rows = pl.DataFrame(
        {
            "age": [None, "?", "31"],
            "height": ["1.7", "", "1.8"],
            "city": ["北京", "Atlantis", None],
            "member": ["no", None, "yes"],
        }
    )
    answers = bundle.predict(rows)
    assert answers.height == 3
    assert answers.null_count().sum_horizontal().item() == 0


def test_other_columns_are_not_looked_at_and_typed_values_are_the_same_as_texts(
    tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame
) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    typed = frame.with_columns(pl.col("age", "height").cast(pl.Float64), extra=pl.lit(1)).select(
        [*sorted(frame.columns), "extra"]
    )
    assert bundle.predict(typed).equals(bundle.predict(frame))


def test_rows_as_dicts(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    assert bundle.predict(frame.head(4).to_dicts()).equals(bundle.predict(frame.head(4)))


def test_no_rows_give_an_empty_frame(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    assert bundle.predict([]).height == 0
    answers = bundle.predict(frame.head(0))
    assert answers.schema == bundle.predict(frame.head(1)).schema
    assert answers.height == 0


def test_an_absent_column_is_named(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    with pytest.raises(DataError, match="the column height is not in the data"):
        bundle.predict(frame.drop("height"))
    with pytest.raises(DataError, match="the column height is not in the data"):
        bundle.predict(frame.drop("height").head(0))
    with pytest.raises(DataError, match="column height is not in the data, nor are city, member; there are age"):
        bundle.predict(frame.select("age"))


def test_a_wrong_value_is_named_with_its_row_past_the_first_batch(
    tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame
) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    rows = pl.concat([frame] * 40)
    ages = rows["age"].to_list()
    ages[2000] = "old"
    with pytest.raises(DataError, match="'old' is not a number") as caught:
        bundle.predict(rows.with_columns(age=pl.Series(ages)))
    assert caught.value.where == "column age, row 2000"


def test_rows_answer_alike_alone_and_in_a_batch(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    alone = np.concatenate([bundle.outputs(frame.slice(row, 1)) for row in range(10)])
    np.testing.assert_allclose(bundle.outputs(frame)[:10], alone, atol=1e-6)


def test_what_a_bundle_says_of_itself(tmp_path: Path, make_bundle: MakeBundle) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    assert (bundle.name, bundle.task.name, bundle.labels, bundle.card) == ("toy", "binary", ("high", "low"), "# toy\n")
    assert bundle.parity == {"passed": True}
    assert bundle.manifest["signature"]["output"] == {"name": "income", "type": "category", "labels": ["high", "low"]}
    assert bundle.manifest["signature"]["network_outputs"][0]["shape"] == ["batch", 1]
    assert len(bundle.version) == 12


def test_a_graph_for_other_columns_is_refused(
    tmp_path: Path,
    make_bundle: MakeBundle,
    make_schema: Callable[..., Schema],
    make_graph: Callable[..., Path],
    frame: pl.DataFrame,
) -> None:
    schema = make_schema()
    fewer = Schema(schema.inputs[1:], schema.target)
    folder = make_bundle(tmp_path / "bundle", model=make_graph(fewer, tmp_path / "other.onnx"))
    with pytest.raises(BundleError, match=r"model\.onnx is damaged: it takes .*, the columns give"):
        load(folder).predict(frame)


def test_loading_and_predicting_import_no_torch(tmp_path: Path, make_bundle: MakeBundle) -> None:
    folder = make_bundle(tmp_path / "bundle")
    code = (
        "import sys, polars as pl\n"
        "from danlu.bundle import load\n"
        "assert 'onnxruntime' not in sys.modules, 'onnxruntime is for predicting only'\n"
        f"bundle = load({str(folder)!r})\n"
        "rows = pl.DataFrame({'age': ['3'], 'height': ['1'], 'city': ['x'], 'member': ['no']})\n"
        "assert bundle.predict(rows).height == 1\n"
        "heavy = {'torch', 'sklearn', 'onnx', 'onnxscript', 'danlu.recipe.schema'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_row_means_the_same_however_it_comes(tmp_path: Path, make_bundle: MakeBundle, frame: pl.DataFrame) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    rows = frame.head(40).with_columns(city=pl.Series(["?", "北京", None, " Paris "] * 10))
    expected = bundle.predict(rows)
    path = tmp_path / "rows.csv"
    rows.write_csv(path)
    typed = rows.with_columns(pl.col("age", "height").cast(pl.Float64, strict=False))
    dicts = typed.to_dicts()
    forms = {
        "csv": path,
        "categorical": rows.with_columns(pl.col("city", "member").cast(pl.Categorical)),
        "decimal": typed.with_columns(pl.col("age").cast(pl.Decimal(20, 10))),
        "lazy": typed.lazy(),
        "arrow": typed.to_arrow(),
        "pandas": typed.to_pandas(),
        "pandas categories": typed.to_pandas().astype({"city": "category"}),
        "dicts": dicts,
        "dicts with NaN": [{name: float("nan") if one is None else one for name, one in row.items()} for row in dicts],
        "columns": typed.to_dict(as_series=False),
        "reordered, with more": typed.select(reversed(typed.columns)).with_columns(more=1),
    }
    for name, form in forms.items():
        assert bundle.predict(form).equals(expected), name


def test_numbers_past_all_measure_are_no_silent_nan(tmp_path: Path, make_bundle: MakeBundle) -> None:
    bundle = load(make_bundle(tmp_path / "bundle"))
    calm = {"age": 31.0, "height": 1.7, "city": "北京", "member": "no"}
    answers = bundle.predict([calm, calm | {"age": 1e308, "height": -1e308}])
    assert answers.select(pl.col(pl.Float64).is_finite().all()).row(0) == (True, True)


def test_an_answer_that_is_no_number_is_refused(
    tmp_path: Path,
    make_bundle: MakeBundle,
    make_schema: Callable[..., Schema],
    make_graph: Callable[..., Path],
    frame: pl.DataFrame,
) -> None:
    steep = make_graph(make_schema(), tmp_path / "steep.onnx", factor=1e30)
    bundle = load(make_bundle(tmp_path / "bundle", model=steep))
    rows = frame.head(2).vstack(frame.head(1).with_columns(age=pl.lit("1e308")))
    with pytest.raises(DataError, match=r"row 2 has no answer: its numbers are too large for the network\n  row 2"):
        bundle.predict(rows)
