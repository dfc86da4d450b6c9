"""Faults of texts, planted at the strength that docs/audit.md states, are found; in clean texts none are.

Clean ones share phrases or a form, are Chinese, or hold signs and accents of all kinds.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.columns.repair import decoded
from danlu.prepare.audit.broken import find_html, find_mojibake
from danlu.prepare.audit.texts import find_alike_texts
from danlu.prepare.splits import TEST, TRAIN
from tests.contracts.test_audit_planted import ROWS, SEEDS, Planted, clean, keys, split


def words(text: str) -> list[str]:
    return text.split()


KINDS = {"alike_texts", "repeated_texts"}
NOUNS = words(
    "waiter kitchen terrace staff coffee menu dessert owner table evening music soup window garden price "
    "portion bread service neighbour street lamp chair cook fish salad bill tip card kettle queue family "
    "child birthday"
)
ADJECTIVES = words(
    "friendly slow cold noisy charming crowded fresh bland spicy tiny generous bright dusty honest tired "
    "polite greasy calm odd famous modest plain salty sour warm"
)
VERBS = words(
    "brought forgot praised ruined changed offered spilled repeated closed opened carried moved served "
    "painted ordered returned cleaned broke lost found"
)
PHRASES = ["I would recommend it to friends", "we will certainly come back", "all in all it was fine", "never again"]
NOUNS_ZH = words("房间 早餐 前台 电梯 窗户 床单 浴室 空调 停车场 服务员 走廊 网络 枕头 毛巾 大堂 花园 泳池 行李")
WORDS_ZH = words("干净 吵闹 宽敞 陈旧 热情 冷淡 方便 昏暗 明亮 舒服 潮湿 普通 特别 便宜 昂贵 安静 周到 糟糕")
PHRASES_ZH = ["总体来说还不错", "下次还会再来", "性价比一般", "推荐给大家"]


def review(random: np.random.Generator) -> str:
    """About 20 words of a small vocabulary, with a turn that a quarter of all reviews share."""
    parts = [
        f"the {random.choice(ADJECTIVES)} {random.choice(NOUNS)} {random.choice(VERBS)} our {random.choice(NOUNS)}"
        for _ in range(3)
    ]
    return f"{parts[0]}, and {parts[1]}; {parts[2]}, {random.choice(PHRASES)}."


def form(random: np.random.Generator) -> str:
    """One form that all rows share, filled."""
    town = random.choice(["Rome", "Oslo", "Lima", "Bonn", "Cairo", "Quito"])
    return (
        f"Order {random.integers(1e4, 1e5)} was sent to {town} by courier on day {random.integers(1, 366)} and weighs "
        f"{random.uniform(0.2, 30):.1f} kg; the customer paid {random.uniform(5, 500):.2f} by card and signed for it."
    )


def review_zh(random: np.random.Generator) -> str:
    """Four clauses of a small vocabulary, with a turn that a quarter of all reviews share."""
    parts = [f"{random.choice(NOUNS_ZH)}{random.choice(['很', '非常', '有点', '不太'])}{random.choice(WORDS_ZH)}"
             for _ in range(4)]  # fmt: skip
    return "，".join(parts) + "，" + str(random.choice(PHRASES_ZH)) + "。"


def no_edit(text: str, random: np.random.Generator) -> str:
    return text


def one_word(text: str, random: np.random.Generator) -> str:
    """One of about 20 words is another."""
    words = text.split(" ")
    words[random.integers(len(words))] = "umbrella"
    return " ".join(words)


def upper(text: str, random: np.random.Generator) -> str:
    return text.upper()


def marks(text: str, random: np.random.Generator) -> str:
    return text.replace(",", " -").replace(";", "").replace(".", " !!!") + " "


def one_character(text: str, random: np.random.Generator) -> str:
    """One of about 30 Chinese characters is another."""
    place = int(random.integers(len(text)))
    return text[:place] + "鹰" + text[place + 1 :]


def wide_marks(text: str, random: np.random.Generator) -> str:
    return text.replace("，", ",").replace("。", "!")


Write = Callable[[np.random.Generator], str]
Edit = Callable[[str, np.random.Generator], str]


def with_texts(seed: int, write: Write) -> tuple[Planted, np.random.Generator]:
    random = np.random.default_rng(seed)
    frame = clean(random).with_columns(remark=pl.Series([write(random) for _ in range(ROWS)]))
    return Planted(frame, split(random)), random


def planted(seed: int, write: Write, edit: Edit, code: int, share: float = 0.02) -> Planted:
    """A table where this share of the rows of one split has an edited training text."""
    one, random = with_texts(seed, write)
    train, places = np.flatnonzero(one.codes == TRAIN), np.flatnonzero(one.codes == code)
    count = max(2, round(share * len(places)))
    sources = random.choice(train, count, replace=False)
    targets = random.choice(np.setdiff1d(places, sources), count, replace=False)
    texts = one.frame["remark"].to_list()
    for target, source in zip(targets, sources, strict=True):
        texts[target] = edit(texts[source], random)
    return Planted(one.frame.with_columns(remark=pl.Series(texts)), one.codes)


EDITS = [
    *((review, edit) for edit in (no_edit, one_word, upper, marks)),
    *((form, edit) for edit in (no_edit, upper, marks)),
    *((review_zh, edit) for edit in (no_edit, one_character, wide_marks)),
]


@pytest.mark.parametrize(("write", "edit"), EDITS, ids=lambda one: one.__name__)
def test_a_test_text_that_trains_is_found(write: Write, edit: Edit) -> None:
    tables = [planted(seed, write, edit, TEST) for seed in SEEDS]
    found = ["alike_texts" in keys(one.frame, one.codes, find_alike_texts) for one in tables]
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize("edit", [no_edit, one_word], ids=lambda one: one.__name__)
def test_a_repeated_training_text_is_found(edit: Edit) -> None:
    tables = [planted(seed, review, edit, TRAIN) for seed in SEEDS]
    found = ["repeated_texts" in keys(one.frame, one.codes, find_alike_texts) for one in tables]
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize("write", [review, form, review_zh], ids=lambda one: one.__name__)
def test_texts_that_share_phrases_or_a_form_are_not_alike(write: Write) -> None:
    tables = [with_texts(seed, write)[0] for seed in SEEDS]
    found = [keys(one.frame, one.codes, find_alike_texts) & KINDS for one in tables]
    assert np.mean([bool(one) for one in found]) <= 0.05, found


def in_html(text: str) -> str:
    return text.replace(",", "<br>").replace("，", "<br/>").replace(" the ", " the&nbsp;")


def read_as_latin(text: str) -> str:
    return text.encode().decode("latin-1")


def read_as_latin_from_gbk(text: str) -> str:
    return text.encode("gbk").decode("latin-1")


def quoted(random: np.random.Generator) -> str:
    """A review with a word in typographic marks, as word processors set them."""
    return review(random).replace(" the ", " the “best” café’s ", 1)


def formula(random: np.random.Generator) -> str:
    """Letters and signs that are no HTML and no mojibake."""
    name = random.choice(["Müller", "Ångström", "Søren", "Łukasz", "Ñandú", "Çelik", "AT&T", "R&D"])
    signs = f"a<b and b> c, x & y; 5 > 3 < {random.integers(9)} — «naïve» €{random.integers(99)}"
    return f"{name} <{random.integers(1e6)}@mail> says {signs}"


BREAKS = [(review, in_html, "html"), (review_zh, in_html, "html"), (quoted, read_as_latin, "mojibake"),
          (review_zh, read_as_latin, "mojibake"), (review_zh, read_as_latin_from_gbk, "mojibake")]  # fmt: skip


@pytest.mark.parametrize(("write", "damage", "kind"), BREAKS, ids=lambda one: getattr(one, "__name__", one))
def test_html_and_mojibake_are_found(write: Write, damage: Callable[[str], str], kind: str) -> None:
    found = []
    for seed in SEEDS:
        one, random = with_texts(seed, write)
        texts = one.frame["remark"].to_list()
        for row in random.choice(ROWS, ROWS // 100, replace=False):
            texts[row] = damage(texts[row])
        told = keys(one.frame.with_columns(remark=pl.Series(texts)), one.codes, find_html, find_mojibake)
        assert told <= {kind}
        found.append(kind in told)
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize("write", [review, form, review_zh, quoted, formula], ids=lambda one: one.__name__)
def test_clean_texts_hold_no_html_and_no_mojibake(write: Write) -> None:
    tables = [with_texts(seed, write)[0] for seed in SEEDS]
    found = [keys(one.frame, one.codes, find_html, find_mojibake) for one in tables]
    assert np.mean([bool(one) for one in found]) <= 0.05, found


def test_chinese_and_english_texts_of_books_hold_no_mojibake(data: Path) -> None:
    for name in ("song_ci/song_ci_10000.txt.gz", "thucnews_titles/dev.txt.gz", "rt_polarity/rt-polarity.pos.gz"):
        with gzip.open(data / name, "rt", encoding="utf-8") as file:
            lines = pl.Series([line.rstrip("\n") for line in file])
        assert decoded(lines).equals(lines)
