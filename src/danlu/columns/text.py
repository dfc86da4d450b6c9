"""Free text: cut into words, characters or pieces of words, each a row of an embedding table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from danlu.columns import words
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import no_values, wrong_dtype, wrong_option
from danlu.columns.steps import flat, lengths, spread
from danlu.columns.subwords import SPECIAL, read_subwords, train_subwords

OWN = ("word", "character", "bpe", "wordpiece")  # tokenizers that come in no file
PADDING, UNSEEN, _FIRST, _LAST = range(4)
_RESERVED = len(SPECIAL)
_WORDS, _PIECES = 30_000, 8_000  # values by default
_SHORT, _LONG = 128, 512  # tokens: below, texts are never cut by default; above, always
_SHARE = 0.99  # of the training rows that are not cut between them


@dataclass(frozen=True)
class TextState(State):
    """What a text column learned on the training split.

    Attributes:
        values: words or characters with a code of their own, sorted; their codes begin at 5. None of a tokenizer.
        stems: beginnings of long words, sorted, with the codes that follow: each stands for the words without a code of
            their own that begin so.
        apart: whether most tokens are single characters of Chinese or a like script, or all are single characters.
        tokenizer: JSON of a tokenizer, or "".
        num_codes: that there are.
        padding: see `Field.padding`.
        length: codes of every encoded row.
        num_cut: training rows that are longer than `length`.
        num_rows: training rows with a text.
        optional: whether rows may have no text.
    """

    values: tuple[str, ...]
    stems: tuple[str, ...]
    apart: bool
    tokenizer: str
    num_codes: int
    padding: int
    length: int
    num_cut: int
    num_rows: int
    optional: bool


@dataclass(frozen=True, kw_only=True)
class Text:
    """Free text, in any language.

    Attributes:
        tokenizer: what a text is cut into. `word`: runs of letters and digits; marks, and characters of Chinese and
            other scripts without blanks, stand by themselves; long words that begin alike are of one family, and a rare
            one stands for its family. `character`: every character. `bpe`, `wordpiece`: words
            and pieces of rare ones, by a tokenizer trained on the training rows. Else the path of a tokenizer.json,
            which is used as it is.
        length: tokens that the network is given; longer texts are cut at the end. None takes the longest training
            row's, or where that is more than 128 what 99 % of them have, from 128 to 512.
        min_count: words, characters or pairs of pieces that occur less often in the training rows have no code of their
            own; none takes 2, or 1 where nothing occurs twice.
        max_values: largest number of values with a code of their own, the most frequent first; none takes 30,000 words
            or characters, 8,000 pieces.
        lower: take capital letters for small ones; a file says that itself.
        normalize: bring characters that are compatible (full-width letters, ligatures) to one form; a file says that
            itself.
        ends: put a token before every text and one after it ([CLS], [SEP]); a file says that itself.
        missing: a row without a text is all padding (`empty`), or left out of training and scoring (`drop`). What
            stands for a text that is not there is learned where training rows lack one; with `learned`, rows may lack
            it though no training row does.
    """

    state_type: ClassVar[type[State]] = TextState
    encoder: ClassVar[str] = "bag"
    late_options: ClassVar[tuple[str, ...]] = (
        "tokenizer",
        "length",
        "min_count",
        "max_values",
        "lower",
        "normalize",
        "ends",
        "missing",
    )
    optional_by: ClassVar[Mapping[str, str]] = {"missing": "learned"}
    tokenizer: str = "word"
    length: Annotated[int, Ge(3)] | None = None
    min_count: Annotated[int, Ge(1)] | None = None
    max_values: Annotated[int, Ge(1)] | None = None
    lower: bool = True
    normalize: Literal["nfkc", "none"] = "nfkc"
    ends: bool = False
    missing: Literal["empty", "learned", "drop"] = "empty"

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) texts. Raises DataError for what is no single value."""
        dtype = values.dtype
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            raise wrong_dtype(values, "texts")
        return values.cast(pl.String)

    def fit(self, values: pl.Series) -> TextState:
        """Learn the vocabulary and the length. Raises DataError where no training row has a text, or all are rare."""
        known = values.drop_nulls()
        if not len(known):
            raise no_values(values)
        optional = self.missing == "learned" or (self.missing == "empty" and len(known) < len(values))
        if self.tokenizer in ("word", "character"):
            return self._fit_words(known, optional=optional)
        text = self._train(known) if self._is_own else _read(self.tokenizer, values)
        try:
            found = read_subwords(text, None, own=self._is_own)
        except ValueError as error:
            message = f"{self.tokenizer} is not a tokenizer: {error}"
            raise wrong_option(values, message, "give a tokenizer.json of the library tokenizers") from error
        counts = np.fromiter((len(ids) for ids in found.ids(known.to_list())), np.int64, len(known))
        length, cut = self._length(counts)
        num_codes = found.size + (found.padding < 0)
        return TextState((), (), False, text, num_codes, found.padding, length, cut, len(known), optional)

    def fields(self, state: TextState) -> tuple[Field, ...]:
        """The "tokens": codes of `length` places."""
        reserved = _RESERVED if self._is_own else 0
        field = Field("tokens", "tokens", (state.length,), state.num_codes, reserved, masked=True)
        families = _families(state)
        return (replace(field, padding=state.padding, families=families, apart=state.apart, optional=state.optional),)

    def encode(self, values: pl.Series, state: TextState) -> Arrays:
        """Texts of one length, as codes.

        Args:
            values: (N,) texts, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "tokens": (N, T) int32: 0 padding, 1 a value that training rows do not hold, 2 and 3 where a text begins
            and ends, 4 nothing yet, then the codes of values and of stems. Those of a file are its own ids, but for
            padding's: see `Field.padding`. A row that is null is all padding.
        """
        encoded = np.full((len(values), state.length), PADDING, np.int32)
        if state.tokenizer:
            self._encode_subwords(values, state, encoded)
        else:
            self._encode_words(values, state, encoded)
        return {"tokens": encoded}

    def decode(self, arrays: Arrays, state: TextState) -> pl.Series:
        """(N,) texts as their tokens tell them, � for what is unseen; null for a row that is all padding."""
        rows = [row[: int(np.count_nonzero(row))].tolist() for row in np.asarray(arrays["tokens"])]
        if state.tokenizer:
            found = read_subwords(state.tokenizer, state.length, own=self._is_own)
            texts = [found.text([_swapped(code, state.padding) for code in row]) if row else None for row in rows]
        else:
            between = " " if self.tokenizer == "word" else ""
            known = ["", "\N{REPLACEMENT CHARACTER}", "", "", "", *state.values, *(f"{stem}_" for stem in state.stems)]
            texts = [between.join(filter(None, (known[code] for code in row))) if row else None for row in rows]
        return pl.Series(texts, dtype=pl.String)

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where there is no text and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)

    @property
    def _is_own(self) -> bool:
        """Whether the tokenizer is none of a file."""
        return self.tokenizer in OWN

    def _cut(self, values: pl.Series) -> pl.Series:
        """(N,) lists of words or characters."""
        text = words.plain(values, normalize=self.normalize == "nfkc", lower=self.lower)
        return words.words(text) if self.tokenizer == "word" else words.characters(text)

    def _fit_words(self, known: pl.Series, *, optional: bool) -> TextState:
        tokens = self._cut(known)
        counted = pl.DataFrame({"value": flat(tokens)}).group_by("value").len()
        least = self.min_count or (2 if (counted["len"] >= 2).any() else 1)
        ranked = counted.filter(pl.col("len") >= least).sort(["len", "value"], descending=[True, False])
        kept = ranked["value"].head(self.max_values or _WORDS).sort()
        if not len(kept):
            raise wrong_option(
                known, f"no {self.tokenizer} occurs {least} times in the training rows", "lower min_count"
            )
        stems = _stems(counted["value"], kept) if self.tokenizer == "word" else ()
        single = counted.filter(pl.col("value").str.contains(words.SINGLE))["len"].sum()
        apart = self.tokenizer == "character" or bool(single > counted["len"].sum() / 2)
        length, cut = self._length(lengths(tokens) + 2 * self.ends)
        num_codes = _RESERVED + len(kept) + len(stems)
        return TextState(tuple(kept.to_list()), stems, apart, "", num_codes, 0, length, cut, len(known), optional)

    def _train(self, known: pl.Series) -> str:
        return train_subwords(
            known.to_list(),
            "bpe" if self.tokenizer == "bpe" else "wordpiece",
            max_values=self.max_values or _PIECES,
            min_count=self.min_count or 2,
            normalize=self.normalize == "nfkc",
            lower=self.lower,
            ends=self.ends,
        )

    def _length(self, counts: np.ndarray) -> tuple[int, int]:
        """Codes of every encoded row, and how many rows of (N,) tokens are longer."""
        length = self.length or max(3, _length_for(counts))
        return length, int((counts > length).sum())

    def _encode_words(self, values: pl.Series, state: TextState, into: np.ndarray) -> None:
        tokens = self._cut(values).list.head(state.length - 2 * self.ends)
        found = _look_up(flat(tokens), state)
        counts = lengths(tokens)
        if not self.ends:
            spread(found, counts, into)
            return
        there = np.flatnonzero(values.is_not_null().to_numpy())
        inner = np.full((len(values), state.length - 2), PADDING, np.int32)
        spread(found, counts, inner)
        into[:, 1:-1] = inner
        into[there, 0] = _FIRST
        into[there, counts[there] + 1] = _LAST

    def _encode_subwords(self, values: pl.Series, state: TextState, into: np.ndarray) -> None:
        found = read_subwords(state.tokenizer, state.length, own=self._is_own)
        there = np.flatnonzero(values.is_not_null().to_numpy())
        for row, ids in zip(there, found.ids(values.drop_nulls().to_list()), strict=True):
            into[row, : len(ids)] = ids
            if state.padding:
                into[row, : len(ids)] = _codes(into[row, : len(ids)], state.padding)
        # Padding is what comes after a text: where a text itself has its sign, that is an unseen one.
        for row in there[(into[there] == PADDING).any(axis=1)]:
            inside = np.flatnonzero(into[row])
            part = into[row, : inside[-1] + 1] if len(inside) else into[row, :0]
            part[part == PADDING] = UNSEEN


def _stems(values: pl.Series, kept: pl.Series) -> tuple[str, ...]:
    """Beginnings of long words: of one that is kept, or of two that are not; sorted.

    Measured on short English reviews: an embedding for them lifts a bag of words from 0.766 to 0.775.
    """
    of_kept = words.stems(kept).drop_nulls().unique()
    others = words.stems(values.filter(~values.is_in(kept.implode()))).drop_nulls()
    counted = pl.DataFrame({"stem": others}).group_by("stem").len()
    of_others = counted.filter(pl.col("len") >= 2)["stem"]
    return tuple(pl.concat([of_kept.alias("stem"), of_others]).unique().sort().to_list())


def _look_up(tokens: pl.Series, state: TextState) -> np.ndarray:
    """(S,) int32 codes of words or characters."""
    found = _numbered(tokens, state.values, _RESERVED)
    if state.stems and found.null_count():
        families = _numbered(words.stems(tokens), state.stems, _RESERVED + len(state.values))
        found = found.zip_with(found.is_not_null(), families)
    array: np.ndarray = found.fill_null(UNSEEN).to_numpy()
    return array


def _numbered(values: pl.Series, known: tuple[str, ...], first: int) -> pl.Series:
    """(S,) the places of values among those that are known, counted from `first`; null for others."""
    numbers = pl.Series(np.arange(first, first + len(known), dtype=np.int32))
    return values.replace_strict(pl.Series(known, dtype=pl.String), numbers, default=None, return_dtype=pl.Int32)


def _families(state: TextState) -> tuple[int, ...]:
    """See `Field.families`."""
    if not state.stems:
        return ()
    numbers = {stem: number for number, stem in enumerate(state.stems, 1)}
    of_values = words.stems(pl.Series(state.values, dtype=pl.String)).to_list()
    return (*[0] * _RESERVED, *(numbers.get(stem, 0) for stem in of_values), *numbers.values())


def _codes(ids: np.ndarray, padding: int) -> np.ndarray:
    """Ids of a tokenizer as codes; see `Field.padding`."""
    if padding < 0:
        return ids + 1
    return np.where(ids == padding, 0, np.where(ids == 0, padding, ids))


def _swapped(code: int, padding: int) -> int:
    """The id of a code."""
    if padding < 0:
        return code - 1
    return {0: padding, padding: 0}.get(code, code)


def _length_for(counts: np.ndarray) -> int:
    """Tokens for texts of so many."""
    longest = int(counts.max())
    if longest <= _SHORT:
        return longest
    return int(np.clip(np.ceil(np.quantile(counts, _SHARE)), _SHORT, _LONG))


def _read(file: str, values: pl.Series) -> str:
    """A tokenizer's file. Raises DataError where there is none."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        message = f"tokenizer is {file}, which is neither word, character, bpe, wordpiece nor a file that can be read"
        raise wrong_option(values, message, "give one of these, or the path of a tokenizer.json") from error
