"""Side tables, looked up by a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DataError, RecipeError
from danlu.base.progress import Quiet
from danlu.pipeline import run_key
from danlu.prepare.sources.hashing import content_hash
from danlu.prepare.sources.reading import read_data
from danlu.prepare.sources.table import Table
from danlu.prepare.step import outlook
from danlu.recipe.reading import read_recipe, recipe_from
from danlu.recipe.schema import Data
from danlu.recipe.writing import resolved_yaml


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text("id,shop,back\n1,7,yes\n2,8,no\n3,?,no\n4,9,yes\n5,7,no\n")
    pl.DataFrame({"id": [8.0, 7.0], "城市": ["北京", "上海"], "size": [20, 10]}).write_parquet(
        tmp_path / "shops.parquet"
    )
    return tmp_path


def read(folder: Path, *joins: dict[str, Any], source: Any = "orders.csv") -> Table:
    return read_data(data(*joins, source=source), base=folder)


def data(*joins: dict[str, Any], source: Any = "orders.csv") -> Data:
    return Data.model_validate({"source": source, "target": "back", "join": list(joins)})


SHOPS: dict[str, Any] = {"source": "shops.parquet", "key": {"shop": "id"}}


class TestJoin:
    def test_rows_stay_and_columns_come(self, folder: Path) -> None:
        table = read(folder, SHOPS)
        assert table.frame["id"].to_list() == ["1", "2", "3", "4", "5"]
        assert table.frame.columns == ["id", "shop", "back", "城市", "size"]
        assert table.frame["城市"].to_list() == ["上海", "北京", None, None, "上海"]
        assert table.frame["size"].dtype == pl.Int64
        assert table.rows.tolist() == [0, 1, 2, 3, 4]
        assert [path.name for path in table.files] == ["orders.csv", "shops.parquet"]

    def test_rows_without_a_match_are_a_finding(self, folder: Path) -> None:
        (finding,) = (one for one in read(folder, SHOPS).findings if one.key.startswith("join"))
        assert (finding.key, finding.severity) == ("join_unmatched:shops", "warning")
        assert "2 of 5 rows (40.0%) have no match in shops by shop" in finding.message
        assert finding.evidence == {"rows": 2, "share": 0.4}
        (folder / "all.csv").write_text("shop,x\n7,1\n8,2\n9,3\n,4\n,5\n")
        (folder / "orders.csv").write_text("shop,back\n7,yes\n9,no\n")
        assert not [one for one in read(folder, {"source": "all.csv", "key": "shop"}).findings if "join" in one.key]

    def test_several_keys_and_some_columns(self, folder: Path) -> None:
        (folder / "days.csv").write_text("s,b,x,y\n7,yes,1,2\n7,no,3,4\n")
        table = read(folder, {"source": "days.csv", "key": {"shop": "s", "back": "b"}, "columns": ["y"]}, SHOPS)
        assert table.frame["y"].to_list() == ["2", None, None, None, "4"]
        assert "x" not in table.frame.columns
        assert "size" in table.frame.columns

    @pytest.mark.parametrize(
        ("join", "message"),
        [
            (
                {"source": "twice.csv", "key": "shop"},
                r"shop of twice is no key: 1 values stand there again \(rows 0, 1\)",
            ),
            ({**SHOPS, "key": {"shp": "id"}}, r"there is no column shp in the rows; .*\n.*did you mean shop\?"),
            ({**SHOPS, "key": "shop"}, r"there is no column shop in shops.parquet; there are id, 城市, size"),
            ({**SHOPS, "columns": ["sise"]}, r"there is no column sise in shops.parquet; .*\n.*did you mean size\?"),
            ({**SHOPS, "key": {"id": "size"}, "columns": ["id"]}, r"shops.parquet has a column id, as the rows do"),
            ({**SHOPS, "key": {"back": "id"}}, r"no row has a match in shops.parquet by back"),
            ({"source": "ragged.csv", "key": "shop"}, r"a row of ragged cannot be read"),
        ],
    )
    def test_what_does_not_fit_is_named(self, join: dict[str, Any], message: str, folder: Path) -> None:
        (folder / "twice.csv").write_text("shop,x\n7,1\n7.0,2\n8,3\n")
        (folder / "ragged.csv").write_text("shop,x\n7,1\n8,3\n9,3,4\n")
        with pytest.raises(DataError, match=message):
            read(folder, join)

    def test_a_wrong_path_is_a_fault_of_the_recipe_with_its_line(self, folder: Path) -> None:
        text = "data:\n  source: orders.csv\n  target: back\n  join:\n    - {source: shop.parquet, key: id}\n"
        (folder / "r.yaml").write_text(text)
        with pytest.raises(RecipeError, match=r"data.join.*shop.parquet, and there is no such file(.|\n)*r.yaml:5"):
            read_recipe(folder / "r.yaml")


class TestHashes:
    def test_the_side_tables_content_counts_and_its_place_does_not(self, folder: Path) -> None:
        def key(source: str) -> str:
            recipe = {"data": {"source": "orders.csv", "target": "back", "join": [{**SHOPS, "source": source}]}}
            return run_key(recipe_from({**recipe, "name": "x"}, base=folder))

        first = content_hash(data(SHOPS), base=folder)
        before = key("shops.parquet")
        (folder / "shops2.parquet").write_bytes((folder / "shops.parquet").read_bytes())
        assert content_hash(data(SHOPS), base=folder) == first
        pl.DataFrame({"id": [8, 7], "城市": ["北京", "广州"], "size": [20, 10]}).write_parquet(folder / "shops.parquet")
        assert content_hash(data(SHOPS), base=folder) != first
        assert key("shops.parquet") != before

    def test_a_frames_own_rows_count_beside_the_side_tables_files(self, folder: Path) -> None:
        frames = [pl.DataFrame({"shop": [7, 8], "back": ["yes", other]}) for other in ("no", "maybe")]
        first, second = (content_hash(data(SHOPS, source=frame), base=folder) for frame in frames)
        assert first != second

    def test_a_resolved_recipe_finds_the_side_table(self, folder: Path) -> None:
        recipe = recipe_from({"data": {"source": "orders.csv", "target": "back", "join": [SHOPS]}}, base=folder)
        (folder / "runs").mkdir()
        (folder / "runs" / "resolved.yaml").write_text(resolved_yaml(recipe, folder / "runs"))
        again = read_recipe(folder / "runs" / "resolved.yaml")
        assert again.data.join[0].source == "../shops.parquet"
        assert read_data(again.data, base=again.base).frame.equals(read(folder, SHOPS).frame)


def test_joined_columns_are_prepared_like_any_other(tmp_path: Path) -> None:
    rows = [(place, place % 9, "yes" if (place * 7 % 11) > 4 else "no") for place in range(300)]
    pl.DataFrame(rows, schema=["day", "shop", "back"], orient="row").write_csv(tmp_path / "orders.csv")
    pl.DataFrame({"shop": list(range(9)), "kind": list("aabbccabc")}).write_csv(tmp_path / "shops.csv")
    given = {"source": "orders.csv", "target": "back", "join": [{"source": "shops.csv", "key": "shop"}]}
    found = outlook(recipe_from({"data": given}, base=tmp_path), Quiet())
    assert "kind" in [one.name for one in found.schema.inputs]
