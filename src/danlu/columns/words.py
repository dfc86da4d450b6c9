"""Texts cut into words or characters, without any library: the same in training and in serving."""

from __future__ import annotations

import polars as pl

# Scripts that are written without blanks: each of their characters is a word of its own.
_APART = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTERS = r"\p{L}\p{M}\p{N}_"
SINGLE = rf"^[{_APART}]$"
LETTERS_TOGETHER = rf"[\p{{L}}--[{_APART}]]{{2}}"
_STEM = 5  # letters by which longer words are told to be of one family
WORD = rf"[{_APART}]|[[{_LETTERS}]--[{_APART}]]+(?:['’]\p{{L}}+)*|[^\s{_LETTERS}]"
CHARACTER = r"(?s)."


def plain(values: pl.Series, *, normalize: bool, lower: bool) -> pl.Series:
    """Texts in one form: NFKC (of compatible characters one), small letters."""
    values = values.str.normalize("NFKC") if normalize else values
    return values.str.to_lowercase() if lower else values


def words(values: pl.Series) -> pl.Series:
    """(N,) lists of words: runs of letters and digits, and every other character by itself.

    Characters of scripts without blanks between words, as Chinese, stand by themselves too.
    """
    return values.str.extract_all(WORD)


def stems(values: pl.Series) -> pl.Series:
    """(N,) the first letters of long words; null for short ones."""
    return values.set(values.str.len_chars() <= _STEM, None).str.head(_STEM)


def characters(values: pl.Series) -> pl.Series:
    """(N,) lists of characters; blanks in a row count as one."""
    return values.str.replace_all(r"\s+", " ").str.extract_all(CHARACTER)
