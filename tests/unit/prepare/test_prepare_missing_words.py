"""A word for missing that seems to say "there is none" is told, and only then."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danlu.columns.column import nulled
from danlu.prepare.choose import choose_columns
from danlu.prepare.prepared import Finding
from danlu.prepare.values import missing_word_findings
from danlu.recipe.schema import Recipe


def houses(seed: int, word: str | None, blank: str | None) -> pl.DataFrame:
    """200 rows as a CSV reader has them: 5 % of the pools are `word`, 5 % of the areas are `blank`."""
    random = np.random.default_rng(seed)
    pools, areas = (
        random.choice(["good", "fair", "poor"], 200).tolist(),
        [f"{area:.1f}" for area in random.normal(90, 9, 200)],
    )
    for values, instead in ((pools, word), (areas, blank)):
        for row in random.choice(200, 10, replace=False):
            values[row] = instead
    return pl.DataFrame({"pool": pools, "area": areas, "price": random.normal(size=200).astype(str)})


def found(frame: pl.DataFrame, missing_values: list[str] | None = None) -> dict[str, Finding]:
    given = {"source": frame} | ({} if missing_values is None else {"missing_values": missing_values})
    recipe = Recipe.model_validate({"data": {**given, "target": "price"}})
    missing = recipe.data.missing_values
    chosen = choose_columns(frame, recipe, missing)
    parsed = {name: one.parse(nulled(frame[name], missing)) for name, one in chosen.items()}
    return {one.key: one for one in missing_word_findings(frame, parsed, chosen, missing)}


@pytest.mark.parametrize("word", ["NA", "None", "无"])
def test_a_word_in_columns_of_words_only_is_told(word: str) -> None:
    told = [found(houses(seed, word, "")) for seed in range(20)]
    assert np.mean([set(one) == {f"missing_word:{word}"} for one in told]) >= 0.95
    one = told[0][f"missing_word:{word}"]
    assert (one.severity, one.columns, one.evidence) == ("note", ("pool",), {"rows": {"pool": 10}})


@pytest.mark.parametrize(
    ("word", "blank"), [("NA", "NA"), ("None", "NA"), ("", ""), ("?", ""), ("NaN", ""), ("NA", "1.5"), (None, None)]
)
def test_a_word_that_numbers_have_too_or_that_only_says_unknown_is_not_told(
    word: str | None, blank: str | None
) -> None:
    assert not any(found(houses(seed, word, blank)) for seed in range(20))


def test_a_word_that_is_a_value_for_the_recipe_is_not_told() -> None:
    assert found(houses(0, "NA", ""), missing_values=["?"]) == {}


def test_numbers_that_come_as_numbers_are_blank_where_they_are_missing() -> None:
    frame = houses(0, "NA", None)
    assert set(found(frame.with_columns(area=frame["area"].cast(pl.Float64)))) == {"missing_word:NA"}
