"""One tag for each token of a sequence: the named entities of a text, the parts of speech of a sentence.

Entities are written into tags by a scheme; the letter before the `-` says where in its entity a token stands:

    bio:    B first, I further ones, O outside of all            Barack/B-PER Obama/I-PER spoke/O
    iob1:   I for all, B first only right behind one of its type Barack/I-PER Obama/I-PER spoke/O, as CoNLL-2003 has it
    bioes:  B first, I further ones, E last, S the only one      Barack/B-PER Obama/E-PER spoke/O
    bmes:   the same with M for I, as Chinese corpora have it

Shapes: N rows, T tokens, K tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from danlu.base.errors import DataError
from danlu.columns.column import Arrays, Field, FittedColumn, State
from danlu.columns.fault import no_values, wrong_dtype
from danlu.columns.steps import as_lists, depth, flat, lengths, spread

NO_TAG, UNSEEN_TAG = -1, -2
OUTSIDE = "O"
Scheme = Literal["bio", "iob1", "bioes", "bmes", "none"]
_LETTERS: dict[Scheme, set[str]] = {
    "bio": {"B", "I"},
    "iob1": {"B", "I"},
    "bioes": {"B", "I", "E", "S"},
    "bmes": {"B", "M", "E", "S"},
}


@dataclass(frozen=True)
class TagsState(State):
    """What a tags column learned on the training split.

    Attributes:
        values: the tags, sorted.
        length: tags of every encoded row.
        scheme: how entities are written; `none` where tags are no entities.
        row_tokens: tags that a training row has on average.
        num_cut: training rows that are longer than `length`.
    """

    values: tuple[str, ...]
    length: int
    scheme: Scheme
    row_tokens: float
    num_cut: int = 0


@dataclass(frozen=True, kw_only=True)
class Tags:
    """One tag for each token of another column: a list, or a text whose tags stand between blanks. It is a target.

    Attributes:
        of: the column whose tokens they are of; by default the only `tokens` column.
        scheme: how entities are written into tags, told from the tags by default; `none` where each tag stands for
            itself, such as parts of speech.
        length: tokens that the network is given, by default those of the column they are of.
        missing: a row without tags is left out of training and scoring.
    """

    state_type: ClassVar[type[State]] = TagsState
    encoder: ClassVar[str] = ""
    late_options: ClassVar[tuple[str, ...]] = ("scheme", "length")
    of: str | None = None
    scheme: Literal["auto", "bio", "iob1", "bioes", "bmes", "none"] = "auto"
    length: Annotated[int, Ge(1)] | None = None
    missing: Literal["drop"] = "drop"

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) lists of texts, empty ones as nulls. Raises DataError for what is no list."""
        if values.dtype == pl.Null:
            return values.cast(pl.List(pl.String))
        if values.dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            return as_lists(values.str.strip_chars().str.replace_all(r"\s+", " ").str.split(" "))
        levels, inner = depth(values.dtype)
        if levels != 1 or not (inner.is_integer() or inner in (pl.String, pl.Null, pl.Boolean)):
            raise wrong_dtype(values, "lists of tags, or texts of tags")
        return as_lists(values).cast(pl.List(pl.String))

    def fit(self, values: pl.Series) -> TagsState:
        """Learn the tags, the length and the scheme. Raises DataError where there are none, or not of the scheme."""
        known = values.drop_nulls()
        tags = flat(known).drop_nulls()
        if not len(tags):
            raise no_values(values)
        names = tags.unique().sort().to_list()
        scheme = scheme_of(known) if self.scheme == "auto" else self.scheme
        if wrong := [name for name in names if not _fits(name, scheme)]:
            raise DataError(
                f"the tag {wrong[0]} is not of the scheme {scheme}",
                where=f"column {values.name}",
                hint=f"set data.columns.{values.name}.scheme to auto or none, or mend the tags",
            )
        found = lengths(known)
        length = self.length or int(found.max())
        row_tokens = float(np.minimum(found, length).mean())
        return TagsState(tuple(names), length, scheme, row_tokens, int((found > length).sum()))

    def fields(self, state: TagsState) -> tuple[Field, ...]:
        """The "tags": codes of `length` places."""
        return (Field("tags", "tokens", (state.length,), len(state.values), masked=True),)

    def labels(self, state: TagsState) -> tuple[str, ...]:
        """The tags, by their codes."""
        return state.values

    def encode(self, values: pl.Series, state: TagsState) -> Arrays:
        """Tags as codes.

        Args:
            values: (N,) lists of texts, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "tags": (N, T) int32, 0 … K - 1; -1 where there is no token, -2 for a tag that no training row has.
        """
        known = pl.Series(state.values, dtype=pl.String)
        codes = pl.Series(np.arange(len(known), dtype=np.int32))
        tags = flat(values).replace_strict(known, codes, default=UNSEEN_TAG, return_dtype=pl.Int32)
        encoded = np.full((len(values), state.length), NO_TAG, np.int32)
        spread(tags.to_numpy(), lengths(values), encoded)
        return {"tags": encoded}

    def decode(self, arrays: Arrays, state: TagsState) -> pl.Series:
        """(N,) lists of tags without padding; null within them for an unseen one."""
        names = np.array([*state.values, None, None], dtype=object)  # -1 and -2 are the last two
        codes = np.asarray(arrays["tags"])
        return pl.Series([names[row[row != NO_TAG]].tolist() for row in codes], dtype=pl.List(pl.String))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where there are no tags."""
        return values.is_null().to_numpy()


def are_tags(names: Sequence[str]) -> bool:
    """Whether texts look like entities in a scheme: O, and a letter with a type."""
    return OUTSIDE in names and len(names) > 1 and all(_fits(name, "bioes") or _fits(name, "bmes") for name in names)


def scheme_of(values: pl.Series) -> Scheme:
    """The scheme that (N,) lists of tags are written in: the smallest that has all their letters, or `none`.

    Tags of B and I are `iob1` where some entity begins with I and no B stands but where `iob1` has it.
    """
    names = flat(values).drop_nulls().unique().sort().to_list()
    if not are_tags(names):
        return "none"
    letters = {name.partition("-")[0] for name in names if name != OUTSIDE}
    found: Scheme = next((scheme for scheme, known in _LETTERS.items() if letters <= known), "none")
    return "iob1" if found == "bio" and _is_iob1(values) else found


def _is_iob1(values: pl.Series) -> bool:
    tags, counts = flat(values).fill_null(OUTSIDE), lengths(values)
    letters = tags.str.slice(0, 1).to_numpy()
    types = pl.select(pl.when(tags != OUTSIDE).then(tags.str.slice(2)).otherwise(pl.lit(""))).to_series().to_numpy()
    before = np.concatenate([[""], types[:-1]])
    before[(np.cumsum(counts) - counts)[counts > 0]] = ""
    begins = types != before
    return bool((begins & (letters == "I")).any() and not (begins & (letters == "B")).any())


def _fits(name: str, scheme: Scheme) -> bool:
    letter, dash, kind = name.partition("-")
    return scheme == "none" or name == OUTSIDE or (bool(dash and kind) and letter in _LETTERS[scheme])


def tagged_column(target: FittedColumn, inputs: Sequence[FittedColumn]) -> FittedColumn:
    """The input whose tokens a tags column is of.

    Raises:
        DataError: there is none, or several and the option `of` names none of them.
    """
    name = tagged_name(target.name, target.options, {one.name: one.type for one in inputs})
    return next(one for one in inputs if one.name == name)


def tagged_name(target: str, options: Mapping[str, object], types: Mapping[str, str]) -> str:
    """As `tagged_column`, of names and types alone."""
    tokens = [name for name, kind in types.items() if kind == "tokens"]
    of = options["of"]
    if of is None and len(tokens) == 1:
        return tokens[0]
    if of in tokens:
        return str(of)
    told = f"of is {of}, which is no tokens column" if of else f"{target} has a tag for each token, of which column?"
    raise DataError(
        f"{told}; the tokens columns are {', '.join(tokens) or 'none'}",
        where=f"data.columns.{target}.of",
        hint=f"set data.columns.{target}.of to the column of the tokens, and that column's type to tokens",
    )
