"""Sets of values: how they are written, which have a place; tags: their schemes, and the tokens they are of."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import fit_column
from danlu.columns.inference import infer
from danlu.columns.tags import scheme_of, tagged_column
from danlu.prepare.choose import Chosen
from danlu.prepare.sources.reading import read_source
from danlu.prepare.strata import stratified_order
from danlu.prepare.tagging import check_tags

LISTS = pl.Series("x", [["b", "a"], [], None, ["a", "a", " c "], [""]])


def test_a_set_has_no_order_and_no_repetition_however_it_is_written() -> None:
    column = fit_column("x", "set", {}, LISTS)
    assert column.labels == ("a", "b", "c")
    texts = fit_column("x", "set", {"separator": ","}, pl.Series("x", ["b,a", ",", None, "a,a, c", ","]))
    for one, values in ((column, LISTS), (texts, pl.Series("x", ["a, b", ",", None, "c,a,a", ","]))):
        found = one.encode(values)["value"]
        assert found.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 0, 0]]
        assert one.parse(values).to_list() == [["a", "b"], [], None, ["a", "c"], []]
    assert column.decode({"value": np.array([[0.5, 0.2, 0.9]])}).to_list() == [["a", "c"]]


def test_numbers_are_values_and_what_is_no_list_is_refused() -> None:
    assert fit_column("x", "set", {}, pl.Series("x", [[1, 2], [2]])).labels == ("1", "2")
    with pytest.raises(DataError, match=r"this needs lists of texts, or texts with \| between their values"):
        fit_column("x", "set", {}, pl.Series("x", [1.5, 2.5]))


def test_rare_values_have_no_place_and_missing_sets_may_be_empty_ones() -> None:
    column = fit_column("x", "set", {"min_count": 2, "missing": "empty"}, LISTS)
    assert column.labels == ("a",)
    assert column.parse(LISTS).null_count() == 0
    assert fit_column("x", "set", {"max_values": 1}, LISTS).labels == ("a",)
    with pytest.raises(DataError, match="no value stands in 9 training rows"):
        fit_column("x", "set", {"min_count": 9}, LISTS)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-PER", "I-PER"], "bio"),
        (["O", "B-PER", "S-PER", "E-PER"], "bioes"),
        (["O", "B-PER", "M-PER", "E-PER"], "bmes"),
        (["O", "B-PER", "M-PER", "I-PER"], "none"),
        (["NOUN", "VERB", "O"], "none"),
        (["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC", "I-PER"], "iob1"),
        (["I-PER", "O", "B-LOC"], "bio"),
        (["B-PER", "O", "I-LOC"], "bio"),
    ],
)
def test_the_scheme_is_told_from_the_tags(tags: list[str], scheme: str) -> None:
    assert scheme_of(pl.Series("y", [["O"], tags, [], ["O"]])) == scheme
    assert infer(pl.Series("y", [tags, tags[:1]]), is_target=True, name="y").type in ("tags", "set")


def test_tags_that_are_not_of_the_scheme_are_refused() -> None:
    with pytest.raises(DataError, match="the tag NOUN is not of the scheme bio") as caught:
        fit_column("y", "tags", {"scheme": "bio"}, pl.Series("y", [["NOUN", "O"]]))
    assert "scheme to auto or none" in caught.value.hint


def test_tags_are_of_the_only_tokens_or_of_those_that_are_named() -> None:
    words = [fit_column(name, "tokens", {}, pl.Series(name, ["a b", "c"])) for name in ("first", "second")]
    of = fit_column("y", "tags", {"of": "second"}, pl.Series("y", ["O O", "B-X"]))
    assert tagged_column(of, words).name == "second"
    assert tagged_column(fit_column("y", "tags", {}, pl.Series("y", ["O", "B-X"])), words[:1]).name == "first"
    with pytest.raises(DataError, match="a tag for each token, of which column"):
        tagged_column(fit_column("y", "tags", {}, pl.Series("y", ["O", "B-X"])), words)


def test_sentences_without_their_tags_are_rejected(tmp_path: Path) -> None:
    text = "-DOCSTART- O\n\n# id 1\nMr\tNNP\tO\nLi\tNNP\tB-PER\n\nbad\n\r\n#\tO\nend O\n"
    (tmp_path / "some.conll").write_text(text, encoding="utf-8")
    table = read_source("some.conll", base=tmp_path)
    assert table.frame.to_dicts() == [
        {"tokens": ["Mr", "Li"], "tags": ["O", "B-PER"]},
        {"tokens": ["#", "end"], "tags": ["O", "O"]},
    ]
    assert table.rejected["reason"].to_list() == ["1 tokens have 0 tags"]
    assert table.rejected["where"][0].endswith("some.conll:7")
    (tmp_path / "plain.conll").write_text("a\nb\n\nc", encoding="utf-8")
    assert read_source("plain.conll", base=tmp_path).frame.to_dicts() == [{"tokens": ["a", "b"]}, {"tokens": ["c"]}]


@pytest.mark.parametrize(
    ("text", "rows", "reasons"),
    [
        ("Xian\tB-LOC \nis\tO\t\n\nold\t\n", [], ["2 tokens have 1 tags", "1 tokens have 0 tags"]),
        ("Xian\tB-LOC \r\nis\tO\r\n", [(["Xian", "is"], ["B-LOC", "O"])], []),
        ("# newdoc\n# O O\nis VB O\n# NN O\n", [(["#", "is", "#"], ["O", "O", "O"])], []),
    ],
    ids=["empty tags", "blanks behind tags", "a token that is #"],
)
def test_odd_lines_of_tagged_sentences(
    tmp_path: Path, text: str, rows: list[tuple[list[str], list[str]]], reasons: list[str]
) -> None:
    (tmp_path / "odd.conll").write_text(f"{text}\na{' x' * ('VB' in text)} O\n", encoding="utf-8", newline="")
    table = read_source("odd.conll", base=tmp_path)
    assert table.frame.rows() == [*rows, (["a"], ["O"])]
    assert table.rejected["reason"].to_list() == reasons


def test_a_tag_that_is_missing_among_others_is_no_fault_of_ours() -> None:
    tags = pl.Series("y", [["B-X", None, "O"], ["I-X", "O", "O"]])
    chosen = {"x": Chosen("x", "tokens", {}, {}), "y": Chosen("y", "tags", {"of": "x", "scheme": "auto"}, {})}
    (found,) = check_tags(chosen, {"x": pl.Series([["a", "b", "c"]] * 2), "y": tags}, "y", np.arange(2))
    assert (found.key, found.rows) == ("broken_tags", (1,))


def test_every_stretch_of_a_stratified_order_has_its_share_of_rare_labels() -> None:
    sets = pl.Series("y", [["a", "b"] if row % 10 == 0 else ["a"] if row % 2 else [] for row in range(200)])
    order, _ = stratified_order(sets, np.random.default_rng(0))
    counts = [sum(row % 10 == 0 for row in order[start : start + 50].tolist()) for start in range(0, 200, 50)]
    assert counts == [5, 5, 5, 5]
