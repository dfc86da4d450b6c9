"""Free text: words, characters, pieces of words and tokenizers of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.subwords import SPECIAL

REVIEWS = ["It's a good, good film", "a bad film", "酒店很好，Wi-Fi不好", None, "GOOD film?"]


def fitted(values: object, **options: object) -> FittedColumn:
    return fit_column("x", "text", options, pl.Series("x", values, dtype=pl.String))


def codes(column: FittedColumn, *values: str | None) -> np.ndarray:
    found: np.ndarray = column.encode(pl.Series("x", values, dtype=pl.String))["tokens"]
    return found


def cut(column: FittedColumn, text: str) -> str:
    return str(column.decode({"tokens": codes(column, text)})[0])


def test_words_marks_and_chinese_characters_stand_apart() -> None:
    column = fitted(REVIEWS, min_count=1)
    assert cut(column, "It's a good, good film") == "it's a good , good film"
    assert cut(column, "酒店很好，Ｗi-Fi") == "酒 店 很 好 , wi - fi"


def test_characters_blanks_and_case() -> None:
    column = fitted(["a  B\n\tc", "b"], tokenizer="character", min_count=1, lower=False)
    assert cut(column, "a  B\n\tc") == "a B c"
    assert column.fields[0].apart


def test_codes_of_padding_unseen_ends_and_missing_texts() -> None:
    column = fitted(["b a a b", "a", None], ends=True)
    assert codes(column, "a zz b", None, "a a a a a a").tolist() == [
        [2, 5, 1, 6, 3, 0],
        [0] * 6,
        [2, 5, 5, 5, 5, 3],
    ]
    assert (column.fields[0].masked, column.fields[0].optional) == (True, True)


def test_a_word_that_is_rare_or_unseen_stands_for_those_that_begin_alike() -> None:
    column = fitted(["wonderful day", "wonderful day", "terrible", "terribly", "sunny"])
    state = column.state
    assert (state.values, state.stems) == (("day", "wonderful"), ("terri", "wonde"))
    assert codes(column, "wonderfully terrific sunshine").tolist() == [[8, 7, 1]]
    assert column.fields[0].families == (0, 0, 0, 0, 0, 0, 2, 1, 2)


@pytest.mark.parametrize(("counts", "length"), [((3, 100), 100), ((150, 400), 398), ((100, 9000), 512)])
def test_short_texts_are_whole_and_long_ones_cut(counts: tuple[int, ...], length: int) -> None:
    column = fitted(["a " * count for count in counts])
    assert column.fields[0].shape == (length,)
    assert column.state.num_cut == sum(count > length for count in counts)


@pytest.mark.parametrize("tokenizer", ["word", "character", "bpe", "wordpiece"])
def test_nothing_fails(tokenizer: str) -> None:
    if tokenizer in ("bpe", "wordpiece"):
        pytest.importorskip("tokenizers")
    column = fitted(REVIEWS, tokenizer=tokenizer)
    odd = ["\x00", "\U0001f600" * 3, "[PAD] [CLS] [UNK]", "\ud7ff\ue000\uffff", "é́", "สวัสดี", "x" * 100_000]
    found = codes(column, *odd)
    assert found.max() < column.fields[0].num_codes
    assert (np.diff((found != 0).astype(int), axis=1) <= 0).all(), "padding stands at the end only"


@pytest.mark.parametrize("tokenizer", ["bpe", "wordpiece"])
def test_pieces_are_learned_and_always_the_same(tokenizer: str) -> None:
    pytest.importorskip("tokenizers")
    texts = ["low lower lowest", "newest widest 新年", "low new wide 新年"] * 3
    columns = [fitted(texts, tokenizer=tokenizer, max_values=40) for _ in range(2)]
    assert columns[0].state == columns[1].state
    column = columns[0]
    assert cut(column, "lowest widest") == "lowest widest"
    assert (codes(column, "lowest newer")[0] > 1).sum() > 2, "an unseen word is told in pieces"
    assert 1 in codes(column, "q")[0]
    told, arrays = column.state.dump()
    assert type(column.state).load(json.loads(json.dumps(told)), arrays) == column.state


def test_a_tokenizer_of_a_file_gives_its_own_ids(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    own = fitted(["to be or not to be"] * 2, tokenizer="wordpiece", ends=True)
    file = tmp_path / "tokenizer.json"
    file.write_text(own.state.tokenizer, encoding="utf-8")
    column = fitted(["to be", "or not"], tokenizer=str(file), length=6)
    library = tokenizers.Tokenizer.from_file(str(file))
    library.enable_truncation(6)
    library.enable_padding(length=6)
    for text in ("not to be", "be be be be be be be be", "?"):
        assert codes(column, text)[0].tolist() == library.encode(text).ids
    field = column.fields[0]
    assert (field.padding, field.reserved, field.num_codes) == (0, 0, library.get_vocab_size())


@pytest.mark.parametrize(("padding", "expected"), [(2, [[0 + 2, 1, 0]]), (None, [[1, 2, 0]])])
def test_padding_of_a_file_becomes_code_0(tmp_path: Path, padding: int | None, expected: list[list[int]]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {"a": 0, "b": 1, "<pad>" if padding else "c": 2}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="b"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    column = fitted(["a b"], tokenizer=str(file), length=3)
    assert codes(column, "a b").tolist() == expected
    assert column.fields[0].padding == (2 if padding else -1)
    assert column.decode({"tokens": codes(column, "a b")}).to_list() == ["a b"]


def test_what_is_no_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tokenizer is wrod, which is neither word, character, bpe"):
        fitted(["a"], tokenizer="wrod")
    pytest.importorskip("tokenizers")
    (tmp_path / "no.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"no\.json is not a tokenizer"):
        fitted(["a"], tokenizer=str(tmp_path / "no.json"))


def test_special_tokens_have_the_first_codes() -> None:
    assert fitted(["a a"]).fields[0].reserved == len(SPECIAL) == 5
