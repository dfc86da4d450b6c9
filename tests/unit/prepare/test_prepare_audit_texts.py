"""Texts that are alike: pairs of them, and what the audit says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest

from danlu.prepare.audit import Audited
from danlu.prepare.audit.minhash import alike_pairs, plain
from danlu.prepare.audit.texts import find_alike_texts
from danlu.prepare.choose import choose_columns
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN
from danlu.recipe.schema import Recipe


def sentences(count: int, seed: int = 0, words: int = 20) -> list[str]:
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnoprstuvw"))
    known = np.array(["".join(random.choice(letters, random.integers(2, 10))) for _ in range(3000)])
    shares = 1 / np.arange(1, 3001)
    return [" ".join(line) for line in random.choice(known, (count, words), p=shares / shares.sum())]


def runs(text: str) -> set[bytes]:
    data = text.encode()
    return {data[place : place + 5] for place in range(len(data) - 4)}


def similarity(one: str, other: str, texts: list[str]) -> float:
    """Weighted Jaccard, run by run; runs are counted as often as they come."""
    held: dict[bytes, int] = {}
    for text in texts:
        data = text.encode()
        for place in range(len(data) - 4):
            held[data[place : place + 5]] = held.get(data[place : place + 5], 0) + 1

    def weight(which: set[bytes]) -> float:
        return sum(math.log(len(texts) / min(held[run], len(texts))) for run in which)

    return weight(runs(one) & runs(other)) / weight(runs(one) | runs(other))


def test_a_pairs_similarity_is_the_exact_one() -> None:
    made = sentences(200)
    made += [" ".join([*text.split()[:10], "umbrella", *text.split()[11:]]) for text in made[:20]]
    texts = plain(pl.Series(made))
    found = alike_pairs(texts, np.zeros(len(texts), bool))
    assert set(zip(found.right.tolist(), found.left.tolist(), strict=True)) == {(row, 200 + row) for row in range(20)}
    for left, right, alike in zip(found.left, found.right, found.alike, strict=True):
        assert alike == pytest.approx(similarity(texts[int(left)], texts[int(right)], texts.to_list()), abs=0.02)


def test_pairs_of_two_of_the_group_are_left_out_and_the_rest_is_the_same() -> None:
    made = sentences(60)
    made += [f"{text} umbrella" for text in made[:10]] + [f"umbrella {text}" for text in made[:10]]
    texts, group = plain(pl.Series(made)), np.arange(80) >= 60
    every, some = alike_pairs(texts, np.zeros(80, bool)), alike_pairs(texts, group)
    pairs = {frozenset(pair) for pair in zip(every.left.tolist(), every.right.tolist(), strict=True)}
    across = {frozenset(pair) for pair in zip(some.left.tolist(), some.right.tolist(), strict=True)}
    assert across == {pair for pair in pairs if min(pair) < 60}
    assert len(across) == 20


def test_texts_are_compared_without_case_width_blanks_and_marks() -> None:
    texts = plain(pl.Series(["It’s  GOOD!", "ＡＢＣ，很好。", None, " … "]))
    assert texts.to_list()[:3] == [" it s good ", " abc 很好 ", None]
    assert texts[3].strip() == ""


@pytest.mark.slow
def test_a_hundred_thousand_texts_take_seconds_and_time_is_linear() -> None:
    import time

    took = []
    for count in (25_000, 100_000):
        texts = plain(pl.Series(sentences(count)))
        begun = time.process_time()
        alike_pairs(texts, np.arange(count) >= 0.7 * count)
        took.append(time.process_time() - begun)
    assert took[1] < 6
    assert took[1] < 8 * took[0]


def findings(frame: pl.DataFrame, codes: np.ndarray) -> dict[str, Finding]:
    recipe = Recipe.model_validate({"data": frame, "target": "label"})
    chosen = choose_columns(frame, recipe, recipe.data.missing_values)
    parsed = {name: one.parse(frame[name]) for name, one in chosen.items() if one.type != "ignore"}
    others = {name: frame[name] for name, one in chosen.items() if one.type == "ignore"}
    truth = parsed.pop("label")
    rows = 100 + np.arange(len(codes))
    return {one.key: one for one in find_alike_texts(Audited(parsed, chosen, truth, codes, rows, {}, others, others))}


def table(share: float, *, labels_agree: bool = True, numbers_agree: bool = True) -> tuple[pl.DataFrame, np.ndarray]:
    """100 training and 50 test rows; this share of the test rows has a training row's text, its first word changed."""
    random = np.random.default_rng(0)
    texts, label, number = sentences(150), random.choice(["a", "b"], 150), random.normal(size=150)
    for row in range(100, 100 + round(50 * share)):
        texts[row] = " ".join(["umbrella", *texts[row - 100].split()[1:]])
        label[row] = label[row - 100] if labels_agree else {"a": "b", "b": "a"}[str(label[row - 100])]
        number[row] = number[row - 100] if numbers_agree else 9.0
    codes = np.array([TRAIN] * 100 + [TEST] * 50, np.int8)
    return pl.DataFrame({"remark": texts, "number": number, "label": label}), codes


@pytest.mark.parametrize(
    ("share", "options", "severity"),
    [
        (0.2, {}, "error"),
        (0.18, {}, "warning"),
        (0.4, {"labels_agree": False}, "warning"),
        (0.4, {"numbers_agree": False}, "warning"),
    ],
)
def test_many_rows_alike_in_text_and_equal_in_all_else_are_an_error(
    share: float, options: dict[str, bool], severity: str
) -> None:
    found = findings(*table(share, **options))
    assert found["alike_texts:remark"].severity == severity
    assert found["alike_texts:remark"].evidence["share"] == pytest.approx(share)


def test_the_finding_names_the_rows_and_holds_no_text() -> None:
    frame, codes = table(0.04)
    one = findings(frame, codes)["alike_texts:remark"]
    assert one.rows == (200, 201)
    assert one.evidence["pairs"] == [[200, 100], [201, 101]]
    assert "2 of 50 test rows (4.0%)" in one.message
    assert "0 but for case and marks, 2 but for small edits: row 200 that of row 100" in one.message
    words = set(itertools.chain(*(text.split() for text in frame["remark"].to_list())))
    assert not {word for word in words if len(word) > 6} & set(one.message.split())


def test_training_texts_that_come_again_are_counted_once_each() -> None:
    frame, codes = table(0.0)
    texts = frame["remark"].to_list()
    texts[1], texts[2] = texts[0], texts[0].upper() + " umbrella"
    found = findings(frame.with_columns(remark=pl.Series(texts)), codes)
    assert set(found) == {"repeated_texts:remark"}
    one = found["repeated_texts:remark"]
    assert (one.severity, one.evidence["repeated"]) == ("note", 2)
    assert "1 but for case and marks, 1 but for small edits" in one.message


def test_short_texts_and_a_column_of_names_are_not_compared() -> None:
    codes = np.array([TRAIN] * 60 + [TEST] * 40, np.int8)
    names = [f"Kelly, Mr. James {row % 50}" for row in range(100)]
    frame = pl.DataFrame({"name": names, "short": ["ok"] * 50 + ["a b c d e f"] * 50, "label": ["a", "b"] * 50})
    assert findings(frame, codes) == {}
