"""Every kind of fault, planted at the strength that docs/audit.md states, is found; in clean twins none is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from danlu.prepare.audit import CHECKS, Audited
from danlu.prepare.audit.columns import find_collinear, find_constant
from danlu.prepare.audit.conflicts import find_conflicts
from danlu.prepare.audit.drift import find_drift
from danlu.prepare.audit.duplicates import find_duplicates
from danlu.prepare.audit.groups import find_shared_ids
from danlu.prepare.audit.impossible import find_odd_dates, find_sentinels, find_zeros
from danlu.prepare.audit.near import find_near_duplicates
from danlu.prepare.audit.noise import find_label_noise
from danlu.prepare.audit.personal import find_personal_data
from danlu.prepare.audit.pictures import find_alike_pictures
from danlu.prepare.choose import choose_columns
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN
from danlu.recipe.schema import Recipe

SEEDS = range(20)
ROWS = 400


def clean(random: np.random.Generator) -> pl.DataFrame:
    """A table without a fault: numbers of several shapes, words, dates and a class that follows from them."""
    size, price = random.normal(170, 10, ROWS), random.lognormal(3, 1, ROWS)
    visits = random.poisson(0.7, ROWS)
    score = (size - 170) / 10 + np.log(price) - 3 + random.normal(0, 0.7, ROWS)
    days = random.integers(0, 3000, ROWS)
    return pl.DataFrame(
        {
            "size": size,
            "price": price,
            "visits": visits,
            "town": random.choice(["Rome", "Oslo", "Lima", "Bonn"], ROWS),
            "since": pl.Series(np.datetime64("2012-01-01") + days).cast(pl.Date),
            "label": np.where(score > 0, "yes", "no"),
        }
    )


def split(random: np.random.Generator) -> np.ndarray:
    """(N,) codes: 70 % train, 30 % test."""
    return np.where(random.random(ROWS) < 0.7, TRAIN, TEST).astype(np.int8)


Check = Callable[[Audited], list[Finding]]


def keys(frame: pl.DataFrame, codes: np.ndarray, *checks: Check) -> set[str]:
    """The kinds of findings in a table, without the columns' names."""
    recipe = Recipe.model_validate({"data": frame, "target": "label"})
    chosen = choose_columns(frame, recipe, recipe.data.missing_values)
    parsed = {name: one.parse(frame[name]) for name, one in chosen.items() if one.type != "ignore"}
    unused = {name: frame[name] for name, one in chosen.items() if one.type == "ignore"}
    others = {name: values for name, values in unused.items() if chosen[name].finding in ("text", "high_cardinality")}
    truth = parsed.pop("label")
    data = Audited(parsed, chosen, truth, codes, np.arange(len(codes)), {}, others, unused)
    return {one.key.partition(":")[0] for check in checks for one in check(data)}


@dataclass(frozen=True)
class Planted:
    """A table and its splits."""

    frame: pl.DataFrame
    codes: np.ndarray


Plant = Callable[[Planted, np.random.Generator], Planted]


def copied(planted: Planted, random: np.random.Generator, share: float) -> tuple[Planted, np.ndarray]:
    """The table with copies of training rows in this share of the test rows, and the places of the copies."""
    train, test = np.flatnonzero(planted.codes == TRAIN), np.flatnonzero(planted.codes == TEST)
    count = max(3, round(share * len(test)))
    places, sources = random.choice(test, count, replace=False), random.choice(train, count, replace=False)
    order = np.arange(ROWS)
    order[places] = sources
    return replace(planted, frame=planted.frame[order]), places


def duplicate_rows(planted: Planted, random: np.random.Generator) -> Planted:
    return copied(planted, random, 0.02)[0]


def near_duplicates(planted: Planted, random: np.random.Generator) -> Planted:
    planted, places = copied(planted, random, 0.05)
    price = planted.frame["price"].to_numpy().copy()
    price[places] *= 1 + random.uniform(-1e-4, 1e-4, len(places))
    return replace(planted, frame=planted.frame.with_columns(price=price))


def conflicting_labels(planted: Planted, random: np.random.Generator) -> Planted:
    planted, places = copied(planted, random, 0.02)
    label = planted.frame["label"].to_numpy().copy()
    label[places] = np.where(label[places] == "yes", "no", "yes")
    return replace(planted, frame=planted.frame.with_columns(label=label))


def collinear(planted: Planted, random: np.random.Generator) -> Planted:
    inches = (planted.frame["size"] / 2.54) * (1 + random.normal(0, 1e-5, ROWS))
    return replace(planted, frame=planted.frame.with_columns(inches.alias("inches")))


def collinear_words(planted: Planted, random: np.random.Generator) -> Planted:
    codes = planted.frame["town"].replace_strict({"Rome": "IT", "Oslo": "NO", "Lima": "PE", "Bonn": "DE"})
    return replace(planted, frame=planted.frame.with_columns(codes.alias("land")))


def constant(planted: Planted, random: np.random.Generator) -> Planted:
    model = np.where((planted.codes == TEST) & (random.random(ROWS) < 0.5), "new", "old")
    return replace(planted, frame=planted.frame.with_columns(model=model))


def zeros_for_missing(planted: Planted, random: np.random.Generator) -> Planted:
    size = np.where(random.random(ROWS) < 0.03, 0.0, planted.frame["size"].to_numpy())
    return replace(planted, frame=planted.frame.with_columns(size=size))


def sentinel(planted: Planted, random: np.random.Generator) -> Planted:
    price = np.where(random.random(ROWS) < 0.03, -1.0, planted.frame["price"].to_numpy())
    return replace(planted, frame=planted.frame.with_columns(price=price))


def nines(planted: Planted, random: np.random.Generator) -> Planted:
    size = np.where(random.random(ROWS) < 0.03, 999.0, planted.frame["size"].to_numpy())
    return replace(planted, frame=planted.frame.with_columns(size=size))


def future_dates(planted: Planted, random: np.random.Generator) -> Planted:
    return replace(planted, frame=dated(planted.frame, random, np.datetime64("2051-03-01")))


def old_dates(planted: Planted, random: np.random.Generator) -> Planted:
    return replace(planted, frame=dated(planted.frame, random, np.datetime64("1899-12-30")))


def dated(frame: pl.DataFrame, random: np.random.Generator, day: np.datetime64) -> pl.DataFrame:
    """The table with one day in 1 % of the rows."""
    chosen = np.isin(np.arange(ROWS), random.choice(ROWS, ROWS // 100, replace=False))
    return frame.with_columns(since=pl.Series(np.where(chosen, day, frame["since"].to_numpy())).cast(pl.Date))


def drift(planted: Planted, random: np.random.Generator) -> Planted:
    size = planted.frame["size"].to_numpy() + 10 * (planted.codes == TEST)
    return replace(planted, frame=planted.frame.with_columns(size=size))


def label_noise(planted: Planted, random: np.random.Generator) -> Planted:
    is_wrong = random.random(ROWS) < 0.05
    label = np.where((planted.frame["size"].to_numpy() > 170) != is_wrong, "yes", "no")
    return replace(planted, frame=planted.frame.with_columns(label=label))


def shared_ids(planted: Planted, random: np.random.Generator) -> Planted:
    return replace(planted, frame=planted.frame.with_columns(user_id=random.integers(0, 120, ROWS)))


def emails_in_texts(planted: Planted, random: np.random.Generator) -> Planted:
    return in_texts(planted, random, lambda: f"u{random.integers(1e6)}@mail.example.com")


def mobiles_in_texts(planted: Planted, random: np.random.Generator) -> Planted:
    return in_texts(planted, random, lambda: f"1{random.integers(3, 10)}{random.integers(1e9):09d}")


def in_texts(planted: Planted, random: np.random.Generator, make: Callable[[], str]) -> Planted:
    """The table with a column of texts, 3 % of which hold one of these."""
    chosen = set(random.choice(ROWS, ROWS * 3 // 100, replace=False).tolist())
    texts = [f"call {row} went well" + (f", write to {make()} soon" if row in chosen else "") for row in range(ROWS)]
    return replace(planted, frame=planted.frame.with_columns(remark=pl.Series(texts)))


def mobiles(planted: Planted, random: np.random.Generator) -> Planted:
    made = [f"1{random.integers(3, 10)}{random.integers(1e9):09d}" for _ in range(ROWS)]
    return replace(planted, frame=planted.frame.with_columns(contact=pl.Series(made)))


def order_numbers(planted: Planted, random: np.random.Generator) -> Planted:
    """No fault: random numbers as long as phones, cards and resident ids are."""
    made = {
        f"order{size}": [str(random.integers(10 ** (size - 1), 10**size)) for _ in range(ROWS)] for size in (11, 16, 18)
    }
    return replace(planted, frame=planted.frame.with_columns(**{name: pl.Series(one) for name, one in made.items()}))


PLANTS: dict[Plant, tuple[str, Check]] = {
    duplicate_rows: ("duplicate_rows", find_duplicates),
    near_duplicates: ("near_duplicates", find_near_duplicates),
    conflicting_labels: ("conflicting_labels", find_conflicts),
    collinear: ("collinear", find_collinear),
    collinear_words: ("collinear", find_collinear),
    constant: ("constant", find_constant),
    zeros_for_missing: ("zeros_for_missing", find_zeros),
    sentinel: ("sentinel", find_sentinels),
    nines: ("sentinel", find_sentinels),
    future_dates: ("future_dates", find_odd_dates),
    old_dates: ("old_dates", find_odd_dates),
    drift: ("drift", find_drift),
    label_noise: ("label_noise", find_label_noise),
    shared_ids: ("shared_ids", find_shared_ids),
    emails_in_texts: ("personal_data", find_personal_data),
    mobiles_in_texts: ("personal_data", find_personal_data),
    mobiles: ("personal_data", find_personal_data),
}


def tables(plant: Plant | None) -> list[Planted]:
    """The same tables for every kind, with the fault or without."""
    made = []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        planted = Planted(clean(random), split(random))
        made.append(plant(planted, random) if plant else planted)
    return made


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant) -> None:
    key, check = PLANTS[plant]
    found = [key in keys(one.frame, one.codes, check) for one in tables(plant)]
    assert np.mean(found) >= 0.95


def test_clean_tables_have_no_findings() -> None:
    found = [keys(one.frame, one.codes, *CHECKS) for one in tables(None)]
    for key, _ in PLANTS.values():
        assert np.mean([key in one for one in found]) <= 0.05, key
    assert np.mean([bool(one) for one in found]) <= 0.05, found


def test_long_numbers_are_no_personal_data() -> None:
    found = [keys(one.frame, one.codes, find_personal_data) for one in tables(order_numbers)]
    assert np.mean([bool(one) for one in found]) <= 0.05


def pictures(random: np.random.Generator, count: int = 120, side: int = 32) -> np.ndarray:
    """(N, S, S) uint8: smooth shapes with some grain."""
    coarse = random.uniform(40, 200, (count, 6, 6))
    smooth = np.kron(coarse, np.ones((6, 6)))[:, :side, :side]
    return (smooth + random.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", ["none", "brighter", "grain", "shifted_grey"])
def test_pictures_that_look_the_same_are_found(change: str) -> None:
    found = []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        made = pictures(random)
        codes = np.array([TRAIN] * 80 + [TEST] * 40, np.int8)
        old = made[:3].astype(float)
        new = {
            "none": made[100:103],
            "brighter": old * 1.1,
            "grain": old + random.normal(0, 4, old.shape),
            "shifted_grey": old - 15,
        }[change]
        made[100:103] = np.clip(new, 0, 255)
        frame = pl.DataFrame({"image": made, "label": ["a", "b"] * 60})
        found.append("alike_pictures" in keys(frame, codes, find_alike_pictures))
    assert np.mean(found) <= 0.05 if change == "none" else np.mean(found) >= 0.95
