"""Each kind of personal data, in 3 % of a column's texts or as all its values, is told; look-alikes are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from stdnum import iban, luhn
from stdnum.cn import ric, uscc
from stdnum.us import ssn

from danlu.prepare.audit import Audited
from danlu.prepare.audit.personal import find_personal_data

SEEDS = range(20)
ROWS = 400
Draw = Callable[[np.random.Generator], str]
ENGLISH = "the room was clean and we came back after dinner with friends to rest for a while"
WORDS = {
    "english": ENGLISH.split(),
    "chinese": list("房间干净服务也很好下次还会再来早餐一般位置不错离车站近晚上有点吵"),
}


def digits(random: np.random.Generator, count: int) -> str:
    return "".join(map(str, random.integers(0, 10, count)))


def resident_id(random: np.random.Generator) -> str:
    head = (
        f"310104{random.integers(1950, 2010)}{random.integers(1, 13):02}{random.integers(1, 29):02}{digits(random, 3)}"
    )
    return head + ric.calc_check_digit(head + "0")


def card(random: np.random.Generator) -> str:
    head = "622202" + digits(random, 12)
    return head + luhn.calc_check_digit(head)


def credit_code(random: np.random.Generator) -> str:
    head = "9131000" + digits(random, 10)
    return head + uscc.calc_check_digit(head + "0")


def account_number(random: np.random.Generator) -> str:
    body = digits(random, 18)
    return "DE" + iban.calc_check_digits("DE00" + body) + body


def security_number(random: np.random.Generator) -> str:
    while True:
        number = f"{random.integers(1, 899):03}-{random.integers(1, 100):02}-{random.integers(1, 10000):04}"
        if ssn.is_valid(number):
            return number


PLANTS: dict[str, Draw] = {
    "email": lambda random: f"user{digits(random, 5)}@mail.example.org",
    "phone": lambda random: f"1{random.integers(3, 10)}{digits(random, 9)}",
    "landline": lambda random: f"021-6{digits(random, 7)}",
    "resident_id": resident_id,
    "card": card,
    "iban": account_number,
    "credit_code": credit_code,
    "national_id": security_number,
    "ip": lambda random: ".".join(str(part) for part in random.integers(1, 255, 4)),
    "mac": lambda random: ":".join(f"{part:02x}" for part in random.integers(0, 256, 6)),
    "plate": lambda random: f"沪A{digits(random, 5)}",
}
CUED: dict[str, Draw] = {
    "passport": lambda random: f"护照号：E{digits(random, 8)}",
    "account": lambda random: f"微信：wx_{digits(random, 8)}",
    "name": lambda random: f"姓名：王{chr(0x4E00 + int(random.integers(2000)))}",
}
LOOK_ALIKES: dict[str, Draw] = {
    "numbers of eighteen digits": lambda random: "31" + digits(random, 16),
    "numbers of sixteen digits": lambda random: "8" + digits(random, 15),
    "orders": lambda random: f"2024{digits(random, 12)}",
    "versions": lambda random: ".".join(str(part) for part in random.integers(300, 999, 4)),
    "dates": lambda random: f"20{digits(random, 2)}-{random.integers(10, 13)}-{random.integers(10, 29)}",
    "codes": lambda random: f"AB{digits(random, 6)}",
    "times": lambda random: ":".join(f"{part:02}" for part in random.integers(0, 60, 3)),
    "prices": lambda random: f"1{random.integers(3, 10)}{digits(random, 9)}.{digits(random, 2)}",
    "hashes": lambda random: "".join(f"{part:02x}" for part in random.integers(0, 256, 16)),
}


def told(values: list[str], column: str = "column") -> set[str]:
    """The kinds that the audit tells of a column."""
    nothing = np.zeros(len(values), np.int8)
    unused = {column: pl.Series(column, values)}
    data = Audited({}, {}, pl.Series("label", [0] * len(values)), nothing, np.arange(len(values)), {}, {}, unused)
    return {one.evidence["mask_kind"] for one in find_personal_data(data)}


def texts(random: np.random.Generator, language: str, draw: Draw | None, share: float) -> list[str]:
    """Sentences, some of them with what `draw` gives in their midst."""
    words, glue = WORDS[language], " " if language == "english" else ""
    made = [list(random.choice(words, 12)) for _ in range(ROWS)]
    if draw:
        for row in random.choice(ROWS, round(share * ROWS), replace=False):
            made[row].insert(6, draw(random) if glue else f"，{draw(random)}，")
    return [glue.join(sentence) for sentence in made]


def kind_of(plant: str) -> str:
    return "phone" if plant == "landline" else plant


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("plant", [*PLANTS, *CUED])
def test_what_stands_in_texts_is_told(plant: str, language: str) -> None:
    draw = {**PLANTS, **CUED}[plant]
    found = [told(texts(np.random.default_rng(seed), language, draw, 0.03)) for seed in SEEDS]
    assert np.mean([one == {kind_of(plant)} for one in found]) >= 0.95, found


@pytest.mark.parametrize("plant", PLANTS)
def test_a_column_of_nothing_else_is_told(plant: str) -> None:
    found = []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        found.append(told([PLANTS[plant](random) for _ in range(ROWS)]))
    assert np.mean([one == {kind_of(plant)} for one in found]) >= 0.95, found


@pytest.mark.parametrize("plant", LOOK_ALIKES)
def test_look_alikes_are_not_told(plant: str) -> None:
    found: list[set[str]] = []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        found.append(told([LOOK_ALIKES[plant](random) for _ in range(ROWS)]))
        found.append(told(texts(random, "english", LOOK_ALIKES[plant], 0.03)))
        found.append(told(texts(random, "chinese", LOOK_ALIKES[plant], 0.03)))
    assert np.mean([bool(one) for one in found]) <= 0.05, found
