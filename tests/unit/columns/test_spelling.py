"""One form of writing for texts, and the values that differ only in it."""

import polars as pl
import pytest

from danlu.columns.column import fit_column
from danlu.columns.spelling import Form, normalize, spelling_variants


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("none", [" New  York", "Ｂｅｉｊｉｎｇ", "１\u3000a", "\u3000"]),
        ("spaces", ["New York", "Ｂｅｉｊｉｎｇ", "１ a", None]),
        ("nfkc", ["New York", "Beijing", "1 a", None]),
        ("lowercase", ["new york", "beijing", "1 a", None]),
    ],
)
def test_each_form(form: Form, texts: list[str | None]) -> None:
    values = pl.Series([" New  York", "Ｂｅｉｊｉｎｇ", "１\u3000a", "\u3000", None])
    assert normalize(values, form).to_list() == [*texts, None]
    assert normalize(normalize(values, form), form).to_list() == [*texts, None]


def test_a_category_is_normalized_the_same_when_fitted_and_when_served() -> None:
    values = pl.Series("city", ["Beijing", "beijing ", "Ｂｅｉｊｉｎｇ", "New  York", "１", "TRUE"])
    column = fit_column("city", "category", {"normalize": "lowercase"}, values)
    assert column.state.values == ("1", "beijing", "new york", "true")
    for fresh in (
        pl.Series(["BEIJING", "1", "new york"]),
        pl.Series(["BEIJING", "1", "new york"], dtype=pl.Categorical),
    ):
        assert column.encode(fresh)["code"].tolist() == [3, 2, 4]
    assert column.encode(pl.Series([1.0]))["code"].tolist() == [2]


def test_options_are_normalized_as_the_data_is() -> None:
    column = fit_column(
        "x",
        "category",
        {"normalize": "lowercase", "missing": "constant", "fill": "RED"},
        pl.Series("x", ["Red", "blue"]),
    )
    assert column.state.values == ("blue", "red")


@pytest.mark.parametrize(
    ("texts", "groups", "form"),
    [
        (["a  b", "a b", "a b", "c"], ((("a b", 2), ("a  b", 1)),), "spaces"),
        (["Beijing", "Beijing", "Ｂｅｉｊｉｎｇ", "c"], ((("Beijing", 2), ("Ｂｅｉｊｉｎｇ", 1)),), "nfkc"),
        (["x", "X", "y", "y", "Ｙ", None], ((("y", 2), ("Ｙ", 1)), (("X", 1), ("x", 1))), "lowercase"),
    ],
)
def test_variants_are_grouped_with_the_mildest_remedy(texts: list[str], groups: object, form: Form) -> None:
    found = spelling_variants(pl.Series(texts))
    assert found is not None
    assert found.groups == groups
    assert found.form == form
    assert spelling_variants(normalize(pl.Series(texts), form)) is None


@pytest.mark.parametrize("texts", [["a", "b", "a"], [None, None], ["北京", "南京"], ["a b", "ab"]])
def test_different_words_are_no_variants(texts: list[str]) -> None:
    assert spelling_variants(pl.Series(texts, dtype=pl.String)) is None
