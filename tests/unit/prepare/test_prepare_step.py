"""The whole step, on real data and on every fault that data can have."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError, RecipeError
from danlu.base.runs import Run
from danlu.prepare import Prepared, prepare
from danlu.recipe.reading import recipe_from


def run_at(folder: Path, name: str = "x-0001") -> Run:
    return Run(folder / "runs" / name)


def prepared(folder: Path, base: Path | None = None, name: str = "x-0001", **given: Any) -> Prepared:
    return prepare(recipe_from(given, base=base or folder), run_at(folder, name))


def keys(folder: Path, name: str = "x-0001") -> dict[str, str]:
    found = json.loads((folder / "runs" / name / "findings.json").read_text())
    return {one["key"]: one["severity"] for one in found}


def people(num_rows: int = 200) -> pl.DataFrame:
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": random.normal(40, 9, num_rows).round(3),
            "city": random.choice(["Rome", "Paris", "Kyoto"], num_rows),
            "buys": random.choice(["no", "yes"], num_rows),
        }
    ).cast({"age": pl.String})


def write(folder: Path, frame: pl.DataFrame, name: str = "people.csv") -> str:
    frame.write_csv(folder / name)
    return name


class TestWhole:
    def test_splits_schema_and_files(self, tmp_path: Path) -> None:
        found = prepared(tmp_path, data=write(tmp_path, people()), target="buys")
        assert dict(found.sizes) == {"train": 140, "validation": 20, "test": 40}
        rows = np.concatenate([found.split(name).rows for name in found.sizes])
        assert sorted(rows.tolist()) == list(range(200))
        test, raw = found.split("test"), found.raw("test")
        assert raw.columns == ["age", "city", "buys"]
        assert raw.equals(people()[test.rows])
        for name, array in found.schema.encode(raw).items():
            assert np.array_equal(array, test.inputs[name])
        assert np.array_equal(found.schema.encode_target(raw), test.target)
        assert not test.inputs["scalars"].flags.writeable
        folder = tmp_path / "runs" / "x-0001"
        written = json.loads((folder / "prepare" / "prepare.json").read_text())
        assert (folder / written["cache"]).resolve() == found.folder.resolve()
        assert {one.name for one in (folder / "prepare").iterdir()} == {
            "prepare.json", "columns.json", "columns.safetensors", "profile.json", "step.json",
        }  # fmt: skip

    def test_a_fit_never_sees_other_rows_than_the_training_ones(self, tmp_path: Path) -> None:
        frame = people().with_columns(part=pl.Series(["train"] * 100 + ["validation"] * 50 + ["test"] * 50))
        states = []
        for place, factor in enumerate((1, 1000)):
            ages = frame["age"].cast(pl.Float64)
            scaled = ages.scatter(list(range(100, 200)), ages[100:] * factor)
            source = write(tmp_path, frame.with_columns(age=scaled.cast(pl.String)), f"{place}.csv")
            found = prepared(
                tmp_path,
                name=f"x-000{place}",
                data=source,
                target="buys",
                prepare={"split": {"by": {"column": "part"}}},
            )
            states.append(found.schema.dump())
        assert states[0][0] == states[1][0]

    @pytest.mark.parametrize("target", ["price", "kind", "flag"])
    def test_wild_rows_to_test_on_move_no_column_of_any_type(self, tmp_path: Path, target: str) -> None:
        random, count = np.random.default_rng(1), 120
        train = np.arange(count) < 80
        calm = pl.DataFrame(
            {
                **{name: random.normal(size=count) for name in ("plain", "robust", "ranked", "price")},
                "kind": random.choice(["a", "b", None] if target != "kind" else ["a", "b"], count),
                "flag": random.choice([True, False], count),
                "day": pl.Series(random.integers(0, 9000, count)).cast(pl.Date),
                "photo": random.integers(90, 110, (count, 4, 4), dtype=np.uint8),
                "part": np.where(train, "train", np.where(np.arange(count) < 100, "validation", "test")),
            }
        )
        trains = pl.lit(pl.Series(train))
        wild = calm.with_columns(
            *(pl.when(trains).then(name).otherwise(pl.col(name) * 1e9 + 7) for name in ("plain", "ranked", "price")),
            pl.when(trains).then("robust").otherwise(None),
            pl.when(trains | (target == "kind")).then("kind").otherwise(pl.lit("never seen")),
            pl.when(trains).then("flag").otherwise(True if target != "flag" else ~pl.col("flag")),
            pl.when(trains).then("day").otherwise(pl.lit(date(2200, 1, 1))),
            photo=np.where(train[:, None, None], calm["photo"].to_numpy(), 255).astype(np.uint8),
        )
        columns: dict[str, Any] = dict.fromkeys(("plain", "price"), "number")
        columns |= {"robust": {"type": "number", "scale": "robust"}, "ranked": {"type": "number", "scale": "quantile"}}
        columns |= {"kind": "category", "flag": "boolean", "day": "datetime", "photo": "image"}
        states, encoded = [], []
        for name, frame in (("x-0001", calm), ("x-0002", wild)):
            data = {"source": frame, "target": target, "columns": columns}
            found = prepared(tmp_path, name=name, data=data, prepare={"split": {"by": {"column": "part"}}})
            states.append(found.schema.dump())
            encoded.append(found.split("train"))
        assert states[0][0] == states[1][0]
        assert states[0][1].keys() == states[1][1].keys() != set()
        assert all(np.array_equal(states[0][1][name], array) for name, array in states[1][1].items())
        assert all(np.array_equal(encoded[0].inputs[name], array) for name, array in encoded[1].inputs.items())
        assert np.array_equal(encoded[0].target, encoded[1].target)

    def test_the_two_lines_on_adult(self, tmp_path: Path, data: Path) -> None:
        found = prepared(
            tmp_path,
            data,
            data={"train": "adult/adult_train.csv.gz", "test": "adult/adult_test.csv.gz", "target": "income"},
        )
        assert dict(found.sizes) == {"train": 29305, "validation": 3256, "test": 16281}
        assert keys(tmp_path)["duplicate_rows"] == "warning"
        assert found.split("test").rows.tolist() == list(range(32561, 48842))
        assert found.num_classes == 2
        assert found.profile["age"]["type"] == "number"
        assert sum(found.profile["age"]["histogram"]["counts"]) == 29305
        assert found.profile["sex"]["top"][0]["value"] == "Male"

    def test_the_two_lines_on_california_housing(self, tmp_path: Path, data: Path) -> None:
        found = prepared(tmp_path, data, data="california_housing/housing.csv.gz", target="median_house_value")
        assert found.num_classes == 0
        assert found.split("train").target.dtype == np.float32
        assert abs(float(found.split("train").target.mean())) < 1e-3

    def test_photographs(self, tmp_path: Path, data: Path) -> None:
        pytest.importorskip("PIL")
        found = prepared(tmp_path, data, data="hymenoptera", target="label")
        assert found.sizes["test"] == 153
        assert found.split("train").inputs["image_0"].dtype == np.uint8
        assert Path(found.raw("test")["image"][0]).is_file()

    def test_arrays_of_pictures_stay_arrays(self, tmp_path: Path, data: Path) -> None:
        found = prepared(tmp_path, data, data="pneumoniamnist/pneumoniamnist.npz", target="label")
        raw = found.raw("test")
        assert raw["image"].to_numpy().shape == (624, 28, 28)
        assert np.array_equal(found.schema.encode(raw)["image_0"], found.split("test").inputs["image_0"])


class TestReuse:
    def test_the_same_again_reads_the_cache(self, tmp_path: Path) -> None:
        source = write(tmp_path, people())
        first = prepared(tmp_path, data=source, target="buys")
        stamps = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*") if path.is_file()}
        step = tmp_path / "runs" / "x-0001" / "prepare" / "step.json"
        before = step.stat().st_mtime_ns
        again = prepared(tmp_path, data=source, target="buys")
        assert (again.folder, again.fingerprint, again.sizes) == (first.folder, first.fingerprint, first.sizes)
        assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*") if path.is_file()} == stamps
        assert step.stat().st_mtime_ns == before
        assert again.findings == first.findings
        assert again.schema.dump()[0] == first.schema.dump()[0]

    def test_another_run_and_place_share_it_and_other_sections_do_not_matter(self, tmp_path: Path) -> None:
        first = prepared(tmp_path, data=write(tmp_path, people()), target="buys")
        (tmp_path / "elsewhere").mkdir()
        shutil.copy(tmp_path / "people.csv", tmp_path / "elsewhere" / "other.csv")
        again = prepared(
            tmp_path, tmp_path / "elsewhere", "y-0001", data="other.csv", target="buys", train={"epochs": 3}
        )
        assert again.folder == first.folder
        assert (tmp_path / "runs" / "y-0001" / "prepare" / "columns.json").exists()

    @pytest.mark.parametrize(
        "change",
        [{"seed": 5}, {"prepare": {"split": {"test": 0.3}}}, {"data": {"columns": {"age": {"scale": "robust"}}}}],
    )
    def test_what_matters_prepares_anew(self, tmp_path: Path, change: dict[str, Any]) -> None:
        source = write(tmp_path, people())
        first = prepared(tmp_path, data={"source": source, "target": "buys"})
        data = {"source": source, "target": "buys", **change.pop("data", {})}
        assert prepared(tmp_path, data=data, **change).fingerprint != first.fingerprint

    def test_moved_pictures_get_raw_rows_of_their_new_place(self, tmp_path: Path) -> None:
        image = pytest.importorskip("PIL.Image")
        for place in range(20):
            path = tmp_path / "one" / "ab"[place % 2] / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.fromarray(np.full((4, 4), place * 9, np.uint8)).save(path)
        first = prepared(tmp_path, data="one", target="label")
        (tmp_path / "one").rename(tmp_path / "two")
        again = prepared(tmp_path, data="two", target="label")
        assert again.fingerprint == first.fingerprint
        assert all(Path(one).is_file() for one in again.raw("test")["image"])


class TestFaults:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"target": "bys"}, r"data.target names bys, which is not a column[\s\S]*did you mean buys\?"),
            ({"target": "buys", "columns": {"agee": "number"}}, r"data.columns names agee[\s\S]*did you mean age\?"),
            ({"target": "buys", "columns": {"city": "number"}}, r"'\w+' is not a number"),
            ({"target": "buys", "columns": {"age": "ignore", "city": "ignore"}}, "no column is left to predict buys"),
        ],
    )
    def test_wrong_columns_are_named(self, tmp_path: Path, given: dict[str, Any], message: str) -> None:
        with pytest.raises(DataError, match=message):
            prepared(tmp_path, data={"source": write(tmp_path, people()), **given})

    def test_a_header_that_was_taken_for_a_row_is_thought_of(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("name,kind,buys\n" + "name,x,yes\nbob,y,no\n" * 20)
        with pytest.raises(DataError, match=r"data.target names buys, which is not a column") as caught:
            prepared(tmp_path, data="rows.csv", target="buys")
        assert "set data.reader: {name: csv, header: true}" in caught.value.hint

    def test_a_wrong_split_column_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"prepare.split.by names town, which is not a column"):
            prepared(
                tmp_path,
                data=write(tmp_path, people()),
                target="buys",
                prepare={"split": {"by": {"group": "town"}}},
            )

    def test_an_option_that_the_inferred_type_lacks_is_a_fault_of_the_recipe(self, tmp_path: Path) -> None:
        data = {"source": write(tmp_path, people()), "target": "buys", "columns": {"age": {"min_count": 3}}}
        with pytest.raises(RecipeError, match=r"data\.columns\.age\.min_count") as caught:
            prepared(tmp_path, data=data)
        assert caught.value.faults[0].path == "data.columns.age.min_count"

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (["yes"] * 200, "the target buys is 'yes' in every row"),
            ([None] * 200, "every value of the target buys is missing"),
        ],
    )
    def test_a_target_that_teaches_nothing_is_refused(self, tmp_path: Path, values: list[Any], message: str) -> None:
        frame = people().with_columns(buys=pl.Series(values, dtype=pl.String))
        with pytest.raises(DataError, match=message):
            prepared(tmp_path, data=write(tmp_path, frame), target="buys", prepare={"accept": ["constant:buys"]})

    def test_rows_without_a_target_are_left_out_and_counted(self, tmp_path: Path) -> None:
        frame = people().with_columns(score=pl.Series([float("nan") if row < 10 else row / 7 for row in range(200)]))
        found = prepared(tmp_path, data=frame.drop("buys"), target="score")
        assert sum(found.sizes.values()) == 190
        finding = next(one for one in found.findings if one.key == "missing_target")
        assert finding.rows == tuple(range(10))
        assert "10 of 200" in finding.message

    def test_a_missing_column_is_ignored_unless_the_recipe_types_it(self, tmp_path: Path) -> None:
        frame = people().with_columns(empty=pl.lit(None, pl.String))
        source = write(tmp_path, frame)
        found = prepared(tmp_path, data=source, target="buys")
        assert keys(tmp_path)["empty:empty"] == "warning"
        assert [one.name for one in found.schema.inputs] == ["age", "city"]
        with pytest.raises(DataError, match="every value of empty is missing, and the recipe makes it number"):
            prepared(tmp_path, data={"source": source, "target": "buys", "columns": {"empty": "number"}})

    def test_a_column_that_is_missing_in_all_training_rows_is_not_used(self, tmp_path: Path) -> None:
        frame = people().with_columns(
            late=pl.Series([None if row < 150 else row * 0.37 for row in range(200)]),
            part=pl.Series(["train"] * 100 + ["validation"] * 50 + ["test"] * 50),
        )
        source = write(tmp_path, frame)
        found = prepared(tmp_path, data=source, target="buys", prepare={"split": {"by": {"column": "part"}}})
        assert [one.name for one in found.schema.inputs] == ["age", "city"]
        assert keys(tmp_path)["empty:late"] == "warning"

    def test_rows_dropped_for_a_missing_value_are_counted(self, tmp_path: Path) -> None:
        frame = people().with_columns(age=pl.Series([None if row % 10 == 0 else str(row / 3) for row in range(200)]))
        data = {"source": write(tmp_path, frame), "target": "buys", "columns": {"age": {"missing": "drop"}}}
        found = prepared(tmp_path, data=data)
        assert sum(found.sizes.values()) == 180
        assert "20 of 200 rows have no age" in next(
            one.message for one in found.findings if one.key == "dropped_rows:age"
        )

    def test_a_class_that_never_trains_is_left_out_of_the_tests(self, tmp_path: Path) -> None:
        frame = people(60).with_columns(
            buys=pl.Series(["no", "yes"] * 25 + ["new"] * 5 + ["yes"] * 5),
            part=pl.Series(["train"] * 30 + ["validation"] * 10 + ["test"] * 20),
        )
        source = write(tmp_path, frame)
        found = prepared(tmp_path, data=source, target="buys", prepare={"split": {"by": {"column": "part"}}})
        assert dict(found.sizes) == {"train": 30, "validation": 10, "test": 15}
        assert keys(tmp_path)["untrained_classes"] == "warning"

    def test_rejected_rows_are_kept_apart_up_to_a_share(self, tmp_path: Path) -> None:
        source = write(tmp_path, people())
        with open(tmp_path / source, "a", encoding="utf-8") as file:
            file.write("1,2\n")
        found = prepared(tmp_path, data=source, target="buys")
        assert keys(tmp_path)["rejected_rows"] == "warning"
        rejected = pl.read_parquet(tmp_path / "runs" / "x-0001" / "prepare" / "rejected.parquet")
        assert rejected.rows() == [(200, f"{tmp_path / source}:202", "2 fields, expected 3")]
        assert sum(found.sizes.values()) == 200
        with pytest.raises(DataError, match=r"1 of 201 rows \(0.5%\) cannot be read[\s\S]*people.csv:202"):
            prepared(tmp_path, data=source, target="buys", prepare={"max_rejected": 0.0})

    def test_a_wholly_ragged_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a,b,c\n" + "1,2\n" * 20)
        with pytest.raises(
            DataError, match=r"20 of 20 rows \(100.0%\) cannot be read; the first: 2 fields, expected 3"
        ):
            prepared(tmp_path, data="x.csv", target="a", prepare={"max_rejected": 1.0})

    def test_a_truncated_picture_is_kept_apart(self, tmp_path: Path, data: Path) -> None:
        pytest.importorskip("PIL")
        for label in ("ants", "bees"):
            (tmp_path / "photos" / label).mkdir(parents=True)
            for path in sorted((data / "hymenoptera" / "train" / label).iterdir())[:15]:
                shutil.copy(path, tmp_path / "photos" / label / path.name)
        broken = sorted((tmp_path / "photos" / "bees").iterdir())[3]
        broken.write_bytes(broken.read_bytes()[:2000])
        with pytest.raises(DataError, match=r"1 of 30 rows \(3.3%\) cannot be read[\s\S]*" + broken.name):
            prepared(tmp_path, data="photos", target="label")
        found = prepared(tmp_path, data="photos", target="label", prepare={"max_rejected": 0.1})
        assert sum(found.sizes.values()) == 29
        rejected = pl.read_parquet(tmp_path / "runs" / "x-0001" / "prepare" / "rejected.parquet")
        assert rejected["where"].to_list() == [str(broken)]

    def test_too_few_rows_for_three_splits(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="2 rows leave no row for train"):
            prepared(
                tmp_path, data=people(50).filter(pl.int_range(pl.len()) < 50).group_by("buys").first(), target="buys"
            )


class TestFindings:
    def test_errors_stop_the_run_and_are_written(self, tmp_path: Path) -> None:
        frame = people().with_columns(answer=pl.col("buys").str.to_uppercase(), again=pl.col("buys") + "!")
        source = write(tmp_path, frame)
        with pytest.raises(DataError, match=r"2 findings stop the run:[\s\S]*leak:answer[\s\S]*leak:again") as caught:
            prepared(tmp_path, data=source, target="buys")
        assert "prepare.accept: [leak:answer, leak:again]" in caught.value.hint
        assert keys(tmp_path)["leak:answer"] == "error"
        assert not list((tmp_path / "runs" / ".cache" / "prepare").iterdir())

    def test_accepted_ones_do_not_stop_it(self, tmp_path: Path) -> None:
        frame = people().with_columns(answer=pl.col("buys").str.to_uppercase())
        source = write(tmp_path, frame)
        given: dict[str, Any] = {"data": source, "target": "buys"}
        found = prepared(tmp_path, **given, prepare={"accept": ["leak:answer", "leak:nothing"]})
        assert keys(tmp_path)["not_found:leak:nothing"] == "note"
        again = prepared(tmp_path, **given, prepare={"accept": ["leak:answer"]})
        assert again.folder == found.folder
        with pytest.raises(DataError, match="a finding stops the run"):
            prepared(tmp_path, **given)
        assert keys(tmp_path)["leak:answer"] == "error"

    def test_mixed_values_stop_it_all_at_once_and_cannot_be_accepted(self, tmp_path: Path) -> None:
        ages = pl.Series(["oops" if row == 7 else str(row / 3) for row in range(200)])
        frame = people().with_columns(age=ages, size=ages.reverse())
        with pytest.raises(
            DataError, match=r"2 findings stop the run:\s+mixed_values:age: [\s\S]*mixed_values:size"
        ) as caught:
            prepared(tmp_path, data=write(tmp_path, frame), target="buys", prepare={"accept": ["mixed_values:age"]})
        assert caught.value.hint == "mend the data"
        assert keys(tmp_path) == {"mixed_values:age": "error", "mixed_values:size": "error"}

    def test_mixed_values_name_the_first_row(self, tmp_path: Path) -> None:
        frame = people().with_columns(age=people()["age"].scatter(17, "old"))
        with pytest.raises(DataError, match=r"1 of 200 values are not numbers \('old'\), the first in row 17; "):
            prepared(tmp_path, data=write(tmp_path, frame), target="buys")

    def test_classes_of_one_row_each_leave_nothing_to_test(self, tmp_path: Path) -> None:
        frame = people(60).with_columns(buys=pl.Series([f"name {row}" for row in range(60)]))
        with pytest.raises(DataError, match=r"no validation row is left[\s\S]*give more rows of each class of buys"):
            prepared(tmp_path, data=write(tmp_path, frame), target="buys")

    def test_findings_are_written_where_the_data_is_at_fault(self, tmp_path: Path) -> None:
        frame = people().with_columns(always=pl.lit("x"), buys=pl.lit("yes"))
        with pytest.raises(DataError, match="in every row"):
            prepared(tmp_path, data=write(tmp_path, frame), target="buys")
        assert keys(tmp_path)["constant:always"] == "note"
