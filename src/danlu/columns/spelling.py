"""Texts that differ only in how they are written: by spaces, width of characters, or case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

Form = Literal["none", "spaces", "nfc", "nfkc", "lowercase"]
FORMS: tuple[Form, ...] = ("none", "spaces", "nfc", "nfkc", "lowercase")  # each does what those before it do


def normalize(values: pl.Series, form: Form) -> pl.Series:
    """Texts in one form of writing; each by itself, whatever its neighbours are.

    Args:
        values: (N,) texts or nulls.
        form: `spaces`: runs of white space are one space, none at the ends; `nfc`: and letters with their accents are
            one character, Unicode's canonical form; `nfkc`: its compatibility form, which also makes full-width
            characters half-width; `lowercase`: and small letters.

    Returns:
        (N,) texts, null where nothing is left.
    """
    if form == "none":
        return values
    if form != "spaces":
        values = values.str.normalize("NFC" if form == "nfc" else "NFKC")
    text = values.str.replace_all(r"\s+", " ").str.strip_chars()
    if form == "lowercase":
        text = text.str.to_lowercase()
    return text.set(text == "", None)


@dataclass(frozen=True)
class Variants:
    """Spellings of the same.

    Attributes:
        groups: the spellings of each and in how many rows they are, the most frequent first.
        form: the mildest form that makes one of each group.
    """

    groups: tuple[tuple[tuple[str, int], ...], ...]
    form: Form


def spelling_variants(values: pl.Series) -> Variants | None:
    """The values that differ only by spaces, width or case; None where there are none.

    Args:
        values: (N,) texts or nulls.
    """
    texts = values.unique().drop_nulls()
    keys = normalize(texts, "lowercase")
    num_keys = keys.n_unique()
    if num_keys == len(texts):
        return None
    several = pl.DataFrame({"value": texts, "key": keys}).filter(keys.is_duplicated())
    counted = pl.DataFrame({"value": values.drop_nulls()}).group_by("value").len("rows").join(several, on="value")
    order = counted.sort(["rows", "value"], descending=[True, False])
    groups = order.group_by("key", maintain_order=True).agg("value", "rows")
    form = next(form for form in FORMS if normalize(texts, form).n_unique() == num_keys)
    return Variants(
        tuple(tuple(zip(spellings, rows, strict=True)) for _, spellings, rows in groups.iter_rows()),
        form,
    )
