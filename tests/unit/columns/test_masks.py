"""Masks: what each makes, that it makes the same again, that it looks at no other row, and that it needs its key."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu import catalog
from danlu.base.errors import DataError
from danlu.base.kinds import PERSONAL_KINDS
from danlu.base.registry import build
from danlu.columns.column import fit_column
from danlu.columns.gathered import Gathered
from danlu.columns.masking import Masks
from danlu.columns.masks.key import Key, read_key
from danlu.columns.masks.redact import _TOKENS
from danlu.columns.schema import Schema

KEY = "correct horse battery staple 0123456789"
MISSING = ["?"]


@contextlib.contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Environment variables set, or unset where None, for a while."""
    before = {name: os.environ.get(name) for name in variables}

    def put(values: dict[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(variables)
    try:
        yield
    finally:
        put(before)


@pytest.fixture(autouse=True)
def _key() -> Iterator[None]:
    with environment(DANLU_MASK_KEY=KEY):
        yield


def masked(values: Any, name: str, column: str = "x", **options: Any) -> list[Any]:
    """One column's values masked, twice: the second time nothing may change."""
    masks = Masks(columns={column: {"name": name, **options}}).with_check()
    found = masks.series(pl.Series(column, values), MISSING)
    again = masks.series(found, MISSING)
    assert again.equals(found, check_dtypes=True), (found, again)
    return found.to_list()


def test_a_hash_is_equal_for_equal_values_however_they_came() -> None:
    texts = masked(["13800138000", " 13800138000 ", None, "?", "", "13800138001"], "hash")
    numbers = masked([13800138000, 13800138001], "hash")
    assert texts[0] == texts[1] == numbers[0] == masked([13800138000.0], "hash")[0] != texts[5] == numbers[1]
    assert texts[2:5] == [None, None, None]
    assert texts[0].startswith("h_")
    assert len(texts[0]) == 2 + 16 + 6
    assert len(masked(["a"], "hash", length=40)[0]) == 2 + 40 + 6


def test_another_key_makes_other_hashes_and_they_tell_nothing_of_either() -> None:
    first = masked(["ann"], "hash")
    with environment(DANLU_MASK_KEY=KEY[::-1]):
        assert masked(["ann"], "hash") != first
        assert masked(first, "hash") != first  # another key's output is a value like any other


def test_a_value_that_only_looks_masked_is_masked() -> None:
    (made,) = masked(["ann"], "hash")
    forged = made[:-1] + ("0" if made[-1] != "0" else "1")
    assert masked([forged], "hash") != [forged]
    (code,) = masked(["ann"], "pseudonym", column="id")
    assert masked([code.replace("id_", "ann_")], "pseudonym", column="id") != [code.replace("id_", "ann_")]


def test_pseudonyms_are_names_in_columns_of_names_and_codes_elsewhere() -> None:
    names = masked(["Ann Lee", "王小明", "Ann Lee", "王小明"], "pseudonym", column="full_name")
    assert names[0] == names[2] != names[1] == names[3]
    assert pl.Series(names).str.contains(r"^(\w+ \w+|[\u4e00-\u9fff]{2,3})_[0-9a-f]{16}$").all()
    assert not pl.Series(names).str.contains("Ann Lee|王小明").any()
    (code,) = masked(["a@b.com"], "pseudonym", column="email")
    assert code.startswith("email_")
    (chinese,) = masked(["王小明"], "pseudonym", column="who", form="name")
    assert "\u4e00" <= chinese[0] <= "\u9fff"
    assert chinese.partition("_")[2][:10] == names[1].partition("_")[2][:10]  # the same value in another column


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (["37", "41.5", "1,200", "-3", None], {"step": 10}, [30.0, 40.0, 1200.0, -10.0, None]),
        ([37, 40, 49], {"step": 10}, [30.0, 40.0, 40.0]),
        ([0.3, 0.7, 0.05], {"step": 0.1}, [pytest.approx(0.3), pytest.approx(0.7), 0.0]),
        (["1,5"], {"step": 1, "decimal": ","}, [1.0]),
        (["2001-05-17", "1999年12月3日"], {"to": "month"}, [date(2001, 5, 1), date(1999, 12, 1)]),
        (["2001-05-17 12:30:00"], {"to": "quarter"}, [date(2001, 4, 1)]),
        ([date(2001, 5, 17)], {"to": "year"}, [date(2001, 1, 1)]),
        (["17/05/1968"], {"to": "decade", "format": "%d/%m/%Y"}, [date(1960, 1, 1)]),
        (["2001-05-17T23:00:00"], {"to": "day"}, [date(2001, 5, 17)]),
        (["200030", "2000", "SW1A 1AA", "200"], {"keep": 3}, ["200*", "200*", "SW1*", "*"]),
        ([13800138000], {"keep": 3}, ["138*"]),
    ],
)
def test_generalised_values_are_coarser(values: list[Any], options: dict[str, Any], expected: list[Any]) -> None:
    assert masked(values, "generalize", **options) == expected


@given(st.floats(-1e9, 1e9), st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 5.0, 7.5, 100.0]))
def test_a_band_is_its_own_band(value: float, step: float) -> None:
    (low,) = masked([value], "generalize", step=step)
    rounding = 1e-12 * (abs(value) + step)
    assert low - rounding <= value < low + step + rounding


@pytest.mark.parametrize("options", [{"step": 10}, {"to": "year"}, {"to": "year", "format": "%d/%m/%Y"}])
def test_what_cannot_be_made_coarser_is_an_error_without_the_value(options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"a value is not a (number|date)") as caught:
        masked(["1999", "secret-value"], "generalize", column="born", **options)
    told = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert "secret" not in told
    assert caught.value.where.startswith("column born, row ")


def test_texts_keep_all_but_what_is_recognised() -> None:
    assert masked(
        [
            "Write to ann@mail.example.com or +44 20 7946 0958.",
            "请打 13800138000，身份证11010519491231002X",
            "nothing here",
            "价格 5",
        ],
        "redact",
    ) == ["Write to [EMAIL] or [PHONE].", "请打 [电话号码]，身份证[身份证号]", "nothing here", "价格 5"]
    assert masked(["请打 13800138000 a@b.com"], "redact", kinds=["email"], language="en") == [
        "请打 13800138000 [EMAIL]"
    ]
    assert masked([13800138000, 5], "redact") == ["[PHONE]", "5"]
    assert masked(["12 Main St, +44 20 7946 0958"], "redact", column="address") == ["[ADDRESS]"]


def test_numbers_that_stand_alone_only_when_their_neighbour_is_gone_are_found_too() -> None:
    (found,) = masked(["13800138000@b.com 4111111111111111@c.org13900139000"], "redact")
    assert not set("0123456789") & set(found)


def kinds(
    frame: dict[str, Any], skip: tuple[str, ...] = (), **ways: Any
) -> tuple[dict[str, list[Any]], dict[str, int]]:
    masks = Masks(kinds={kind: {"name": way} for kind, way in ways.items()}, skip=skip).with_check()
    found, changed = masks.apply(pl.DataFrame(frame), MISSING)
    again, rest = masks.apply(found, MISSING)
    assert again.equals(found)
    assert not any(rest.values())
    return found.to_dict(as_series=False), changed


def test_kinds_are_masked_in_the_texts_of_every_column_but_those_left_alone() -> None:
    frame = {
        "note": ["mail a@b.com, 13800138000", None, "plain"],
        "phone": ["13800138000", "13900139000", "?"],
        "number": [13800138000, 1, 2],
        "large": [1e10, 2.5, 13800138000.5],
        "left": ["13800138000", "x", "y"],
    }
    found, changed = kinds(frame, ("left",), phone="hash", email="redact")
    token = found["phone"][0]
    assert token.startswith("[h_")
    assert found["note"] == [f"mail [EMAIL], {token}", None, "plain"]
    assert found["phone"][2] == "?"
    assert found["number"] == [token, "1", "2"]
    assert (found["large"], found["left"]) == (frame["large"], frame["left"])
    assert changed == {"note": 1, "phone": 2, "number": 1}


def test_kinds_are_masked_in_lists_too_at_any_depth() -> None:
    masks = Masks(kinds={"email": {"name": "redact"}}, skip=("left",)).with_check()
    deep = [[{"to": ["a@example.com", None], "n": 1}], None, []]
    frame = pl.DataFrame(
        {
            "tags": [["a@example.com", "x"], [None], ["y"]],
            "pair": pl.Series([["b@example.com", "c"], None, ["d", "e"]], dtype=pl.Array(pl.String, 2)),
            "deep": deep,
            "left": [["a@example.com"], [], []],
            "numbers": [[1, 2], [3], None],
        }
    )
    found, changed = masks.apply(frame, MISSING)
    assert found.schema == frame.schema
    assert found["tags"].to_list() == [["[EMAIL]", "x"], [None], ["y"]]
    assert found["pair"].to_list() == [["[EMAIL]", "c"], None, ["d", "e"]]
    assert found["deep"].to_list() == [[{"to": ["[EMAIL]", None], "n": 1}], None, []]
    assert found["left"].to_list() == frame["left"].to_list()
    assert changed == {"tags": 1, "pair": 1, "deep": 1}
    assert masks.apply(found, MISSING)[0].equals(found)


def test_a_pseudonym_in_a_text_is_a_name_for_names_and_a_code_else() -> None:
    found, _ = kinds({"note": ["姓名：王小明，电话13800138000"]}, name="pseudonym", phone="pseudonym")
    assert pl.Series(found["note"]).str.contains(r"^姓名：\[[\u4e00-\u9fff]{2,3}_\w{16}\]，电话\[phone_\w{16}\]$").all()


PIECES = (
    "a@b.com", "13800138000", "4111111111111111", "11010519491231002X", "[", "]", "_", " ", ",", "1", "a", "h_", "0f",
    "姓名：王五", "+44 20 7946 0958", "DE89370400440532013000", "192.168.0.1", "沪A12345", "微信：wxid_1234", "@", ".",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.sampled_from(["redact", "hash", "pseudonym"]))
def test_masked_texts_pass_again_unchanged_whatever_stands_in_them(text: str, way: str) -> None:
    kinds({"note": [text], "name": [text]}, **dict.fromkeys(PERSONAL_KINDS, way))


@given(st.lists(st.text(max_size=12) | st.sampled_from(PIECES) | st.none(), max_size=6))
def test_any_values_pass_again_unchanged_and_in_any_portions(values: list[str | None]) -> None:
    frame = pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name in ("a", "name", "c", "d", "e")})
    columns = {
        "a": {"name": "hash"},
        "name": {"name": "pseudonym"},
        "c": {"name": "redact"},
        "d": {"name": "generalize", "keep": 2},
    }
    masks = Masks(columns, {"email": {"name": "hash"}, "phone": {"name": "redact"}}).with_check()
    whole, _ = masks.apply(frame, MISSING)
    assert masks.apply(whole, MISSING)[0].equals(whole)
    parts = [masks.apply(frame[row : row + 1], MISSING)[0] for row in range(frame.height)]
    assert not parts or pl.concat(parts).equals(whole)


def test_every_mask_builds_from_the_catalogue_and_names_every_kind() -> None:
    assert set(catalog.names("masks")) == {"drop", "hash", "pseudonym", "generalize", "redact"}
    for name in catalog.names("masks"):
        assert isinstance(build(catalog.find("masks", name)).fault(), str)
    assert set(_TOKENS) == set(PERSONAL_KINDS)


def test_lists_and_bytes_can_only_be_dropped() -> None:
    with pytest.raises(DataError, match="cannot be masked"):
        masked([[1, 2], [3]], "hash")
    found, changed = Masks(columns={"x": {"name": "drop"}}).apply(
        pl.DataFrame({"x": [[1], None], "y": [1, 2]}), MISSING
    )
    assert (found.columns, changed) == (["y"], {"x": 1})


def test_a_key_that_is_absent_short_plain_or_another_is_refused() -> None:
    with environment(DANLU_MASK_KEY=None), pytest.raises(DataError, match=r"DANLU_MASK_KEY is not set") as caught:
        masked(["a"], "hash")
    assert "export DANLU_MASK_KEY=$(python -c" in caught.value.hint
    with environment(DANLU_MASK_KEY="short"), pytest.raises(DataError, match="has 5 characters; it takes 32"):
        masked(["a"], "hash")
    with environment(DANLU_MASK_KEY="ab" * 40), pytest.raises(DataError, match="repeats a few characters"):
        masked(["a"], "hash")
    masks = Masks(columns={"x": {"name": "hash"}}).with_check()
    with environment(DANLU_MASK_KEY=KEY[::-1]), pytest.raises(DataError, match="holds another key"):
        masks.series(pl.Series("x", ["a"]), MISSING)
    with environment(DANLU_MASK_KEY=None):
        assert masked(["37"], "generalize", step=10) == [30.0]  # needs none


def test_no_representation_of_a_key_or_its_check_holds_the_key() -> None:
    key = read_key("DANLU_MASK_KEY")
    assert KEY not in f"{key!r} {key} {key.check}"
    assert len(key.check) == 12
    assert key.check != Key(b"another").check


def test_a_schema_keeps_its_masks_without_the_key_and_masks_requests() -> None:
    raw = pl.DataFrame({"age": ["37", "52", "18", "44"], "id": ["a", "b", "c", "d"], "y": ["n", "y", "n", "y"]})
    masks = Masks(columns={"age": {"name": "generalize", "step": 10}, "id": {"name": "hash"}}).with_check()
    rows, _ = masks.apply(raw, MISSING)
    columns = (fit_column("age", "number", {}, rows["age"]), fit_column("id", "category", {}, rows["id"]))
    schema = Schema(columns, fit_column("y", "category", {}, rows["y"]), tuple(MISSING), masks=masks)
    description, arrays = schema.dump()
    assert KEY not in repr(description)
    again = Schema.load(description, arrays)
    assert again.masks == masks
    for name, array in again.encode(raw).items():
        assert (array == schema.encode(rows)[name]).all()
    again.check_key()
    with environment(DANLU_MASK_KEY=None), pytest.raises(DataError, match="DANLU_MASK_KEY is not set"):
        again.check_key()


def test_a_series_in_one_cell_is_masked_as_the_columns_that_it_is_made_of() -> None:
    masks = Masks(columns={"a": {"name": "generalize", "step": 10}, "b": {"name": "generalize", "step": 5}})
    parts = pl.DataFrame({"a": [37.0, 52.0, None], "b": [18.0, None, None], "c": [3.0, 4.0, None]})
    made = Gathered("load", (("a", "b", "c"),))
    rows, _ = masks.apply(parts, MISSING)
    series = fit_column("load", "series", {"mask": "always"}, made.gather(rows, MISSING))
    target = fit_column("y", "boolean", {}, pl.Series("y", [True, False, True]))
    schema = Schema((series,), target, tuple(MISSING), masks=masks, gathered=(made,))
    expected = schema.encode(parts)["series_0"]
    for whole in (made.gather(parts, MISSING), made.gather(rows, MISSING), ["37 18 3", "[52, null, 4]", None]):
        assert (schema.encode(pl.DataFrame({"load": whole}))["series_0"] == expected).all()
    long = schema.encode(pl.DataFrame({"load": [[37, 18, 3, 99]]}))["series_0"]
    assert (long == expected[:1]).all()
    with pytest.raises(DataError, match="it is no series of 1 channel") as caught:
        schema.encode(pl.DataFrame({"load": ["37 18", "13800138000 x"]}))
    assert caught.value.where == "column load, row 1"
    assert "138" not in str(caught.value)
