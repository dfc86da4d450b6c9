"""Which type a column has, by all its values and its name; the recipe can always say otherwise.

The rules, in order; the first that fits decides, and its reason goes into the note:

    nothing there → ignore · one value only → ignore · file names or bytes of pictures, arrays → image · of sounds →
    audio · lists of numbers → series · lists of words → tokens (a target: tags, or a set)
    texts: yes/no → boolean · digits with leading zeros → codes · numbers → below · dates → datetime · else words
    numbers: 20240105 → datetime · 0/1 → boolean · numbered rows, ids → ignore · few repeated integers → category · else
    number words: hashes → ignore · long and seldom the same → text · each once, too rare to learn from → ignore ·
    else category

A target is never ignored for its values: integers of few repeated values and all words are categories, so that
predictions speak in the data's own labels; only true/false is a boolean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.boolean import WORDS
from danlu.columns.category import read_categories
from danlu.columns.dates import find_format, read_dates
from danlu.columns.fault import show
from danlu.columns.names import is_code, is_key, is_year, numbers_rows
from danlu.columns.number import read_numbers
from danlu.columns.pictures import SUFFIXES
from danlu.columns.sounds import SUFFIXES as SOUND_SUFFIXES
from danlu.columns.sounds import begins_as_sound
from danlu.columns.steps import depth, flat
from danlu.columns.tags import are_tags
from danlu.columns.written import are_words

_MOSTLY = 0.9  # share of values of one kind above which the others are taken for mistakes
_MANY_ROWS = 20  # below this, that all values differ says little
_FEW_CLASSES = 20
_MANY_VALUES = 50
_RARE = 5  # rows that an embedding needs to learn anything of a value
_HASH = r"^(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"
SEQUENCES = ("series", "signal", "signals", "sequence", "sequences", "steps")  # names that say what rows of numbers are
_SENTENCE_END = r"[。！？…]\W*$"
_CJK = r"[\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{ac00}-\x{d7af}]"


@dataclass(frozen=True)
class Inferred:
    """What a column is taken for.

    Attributes:
        type: name in the catalogue's family `columns`.
        options: those that differ from the defaults.
        note: why, to be read after "COLUMN: ".
        finding_key: what the audit should tell: "empty", "constant", "id", "text", "high_cardinality", "unsupported",
            "mixed_values", "ambiguous_dates", or "".
    """

    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    finding_key: str = ""


@dataclass(frozen=True)
class _Look:
    """One column as the rules see it.

    Attributes:
        name: its name.
        is_target: whether it is to be predicted.
        values: (K,) distinct values without nulls, in the order of their first rows.
        counts: (K,) rows of each.
        num_rows: all rows, the missing ones too.
    """

    name: str
    is_target: bool
    values: pl.Series
    counts: np.ndarray
    num_rows: int

    @property
    def num_values(self) -> int:
        return len(self.values)

    @property
    def num_known(self) -> int:
        return int(self.counts.sum())

    @property
    def each_once(self) -> bool:
        return self.num_values == self.num_known

    def share(self, which: pl.Series) -> float:
        """Share of the known rows whose value is one of `which`, a (K,) mask."""
        return float(self.counts[which.fill_null(False).to_numpy()].sum()) / self.num_known


def infer(values: pl.Series, *, is_target: bool, name: str) -> Inferred:
    """Tell what a column is.

    Args:
        values: (N,) raw values, missing ones as nulls (see `column.nulled`).
        is_target: whether it is to be predicted.
        name: its name; it matters for ids and codes only.
    """
    known = values.drop_nulls()
    if known.dtype.is_float():
        known = known.drop_nans()
    if not len(known):
        return Inferred("ignore", {}, "every value is missing", "empty")
    dtype = known.dtype
    if dtype.is_nested() or dtype == pl.Binary:
        return _infer_nested(known, len(values), name, is_target=is_target)
    if dtype in (pl.Object, pl.Time, pl.Duration, pl.Unknown):
        return Inferred("ignore", {}, f"values of type {dtype} are not used yet", "unsupported")
    if dtype.is_float() and (found := _infer_fractions(known)):
        return found
    look = _look(known, len(values), is_target, name)
    if look.num_values == 1 and (is_target or look.num_known == look.num_rows):
        return Inferred("category" if is_target else "ignore", {}, f"it is {show(known[0])} in every row", "constant")
    if dtype == pl.Boolean:
        return Inferred("boolean", {}, "booleans")
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return Inferred("datetime", {}, "dates")
    if dtype.is_numeric():
        return _infer_numbers(look, look.values.cast(pl.Float64), written_whole=dtype.is_integer())
    if dtype in (pl.Categorical, pl.Enum):
        return _infer_words(_look(known.cast(pl.String), len(values), is_target, name))
    return _infer_text(look)


def _infer_fractions(known: pl.Series) -> Inferred | None:
    """Numbers that are not all whole, before they are counted one by one; None for others."""
    low, high = float(known.min()), float(known.max())  # type: ignore[arg-type]
    if low == high or not (np.isfinite(low) and np.isfinite(high)) or (known == known.round()).all():
        return None
    return Inferred("number", {}, f"numbers from {low:g} to {high:g}")


def _look(known: pl.Series, num_rows: int, is_target: bool, name: str) -> _Look:
    counted = pl.DataFrame({"value": known}).group_by("value", maintain_order=True).len("rows")
    return _Look(name, is_target, counted["value"], counted["rows"].to_numpy(), num_rows)


def _infer_nested(known: pl.Series, num_rows: int, name: str, *, is_target: bool) -> Inferred:
    dtype = known.dtype
    levels, inner = depth(dtype)
    if levels and len(known) == num_rows > 1 and all(some.n_unique() == 1 for some in (known.head(_MANY_ROWS), known)):
        return Inferred("ignore", {}, "it is the same list in every row", "constant")
    is_steps = levels == 1 or name.lower() in SEQUENCES
    if not is_target and levels in (1, 2) and inner.is_numeric() and (is_steps or not _may_be_pixels(known, inner)):
        return Inferred("series", {}, "lists of numbers" if levels == 1 else "lists of steps with several numbers each")
    if levels == 1 and inner == pl.String:
        return _infer_lists(known, is_target=is_target)
    bytes_inside = isinstance(dtype, pl.Struct) and "bytes" in {part.name for part in dtype.fields}
    if not is_target and (dtype == pl.Binary or bytes_inside) and _are_sounds(known):
        return Inferred("audio", {}, "sounds")
    if dtype == pl.Binary or bytes_inside or (levels in (2, 3) and inner.is_numeric()):
        return Inferred("image", {}, "pictures")
    return Inferred("ignore", {}, f"values of type {dtype} are not used yet", "unsupported")


def _infer_lists(known: pl.Series, *, is_target: bool) -> Inferred:
    """Lists of words: to predict from they are a sequence, to be predicted a tag for each token, or a set."""
    words = flat(known).drop_nulls().unique()
    if not is_target:
        return Inferred("tokens", {"spelling": True} if are_words(words) else {}, "lists of words")
    if are_tags(words.to_list()):
        return Inferred("tags", {}, "lists of tags")
    return Inferred("set", {}, f"lists of {len(words):,} different values")


def _are_sounds(known: pl.Series) -> bool:
    """Whether most of the first files' bytes begin as sounds do."""
    files = (known.struct.field("bytes") if isinstance(known.dtype, pl.Struct) else known).head(_MANY_ROWS).drop_nulls()
    return len(files) > 0 and sum(map(begins_as_sound, files)) >= _MOSTLY * len(files)


def _may_be_pixels(known: pl.Series, inner: pl.DataType) -> bool:
    """Whether lists of lists are of one shape and without negative numbers: a picture's are."""
    steps = known.explode(empty_as_null=False) if isinstance(known.dtype, pl.List) else known
    if isinstance(known.dtype, pl.List) and known.list.len().n_unique() > 1:
        return False
    while isinstance(steps.dtype, (pl.List, pl.Array)):
        steps = steps.explode()
    return inner.is_unsigned_integer() or float(steps.min() or 0) >= 0  # type: ignore[arg-type]


def _infer_text(look: _Look) -> Inferred:
    lower = look.values.str.to_lowercase()
    for kind, suffixes, what in (("image", SUFFIXES, "pictures"), ("audio", SOUND_SUFFIXES, "sounds")):
        ends = rf"(?:{'|'.join(map(_literal, suffixes))})$"
        if not look.is_target and look.share(lower.str.contains(ends)) >= _MOSTLY:
            return Inferred(kind, {}, f"file names of {what}")
    words = set(lower.head(8).to_list())
    if look.num_values <= 8 and words in [set(pair) for pair in WORDS if pair != ("0", "1")]:
        return _infer_yes_no(look, words)
    if look.values.str.contains(r"^0\d+$").any() and look.share(look.values.str.contains(r"^\d+$")) >= _MOSTLY:
        return _infer_words(look, "codes with leading zeros")
    return _infer_number_text(look) or _infer_dates(look) or _infer_words(look)


def _literal(suffix: str) -> str:
    return suffix.replace(".", r"\.")


def _infer_yes_no(look: _Look, words: set[str]) -> Inferred:
    note = " and ".join(show(value) for value in look.values.head(2))
    if look.is_target and words != {"true", "false"}:
        return Inferred("category", {}, note)  # predictions then say what the data said
    return Inferred("boolean", {}, note)


def _infer_number_text(look: _Look) -> Inferred | None:
    """Texts that are numbers, all or nearly all; None for others."""
    options: dict[str, Any] = {}
    numbers = read_numbers(look.values)
    share = look.share(numbers.is_not_null())
    if share < 1:
        with_comma = read_numbers(look.values, ",")
        if look.share(with_comma.is_not_null()) > max(share, _MOSTLY):
            numbers, share, options = with_comma, look.share(with_comma.is_not_null()), {"decimal": ","}
    wrong = numbers.is_null()
    if share <= _MOSTLY or (share < 1 and look.num_values <= _FEW_CLASSES):
        return None
    if share < 1:
        note = _mixed(look, wrong, "numbers")
        return Inferred("number", options, note, "mixed_values")
    if not numbers.is_finite().all():
        return Inferred("number", options, _mixed(look, ~numbers.is_finite(), "finite numbers"), "mixed_values")
    whole = bool(look.values.str.contains(r"^[+-]?\d+$").all())
    found = _infer_numbers(look, numbers, written_whole=whole)
    if found.type == "number":
        note = "numbers with a decimal comma" if options else found.note
        return Inferred("number", options, note)
    return found


def _mixed(look: _Look, wrong: pl.Series, kind: str) -> str:
    rows = look.counts[wrong.to_numpy()]
    some = ", ".join(show(value) for value in look.values.filter(wrong).head(3))
    return f"{int(rows.sum()):,} of {look.num_known:,} values are not {kind} ({some}{', …' if len(rows) > 3 else ''})"


def _infer_dates(look: _Look) -> Inferred | None:
    found = find_format(look.values)
    if not found or found.num_bad >= (1 - _MOSTLY) * look.num_values:
        return None
    options = {} if found.format == "auto" else {"format": found.format}
    note = f"dates written as {found.format}" if options else "dates written in several forms"
    if found.num_bad:
        some = ", ".join(show(value) for value in found.bad)
        note = f"{found.num_bad:,} of {look.num_values:,} different values are not {note} ({some})"
        return Inferred("datetime", options, note, "mixed_values")
    if found.other:
        note = f"{note}, but {found.other} reads every value as well: set the format to say which"
        return Inferred("datetime", options, note, "ambiguous_dates")
    return Inferred("datetime", options, note)


def _infer_numbers(look: _Look, numbers: pl.Series, *, written_whole: bool) -> Inferred:
    """Columns of numbers.

    Args:
        look: the column.
        numbers: (K,) float64, the distinct values as numbers.
        written_whole: whether they are written as integers (5, not 5.0).
    """
    whole = bool((numbers == numbers.round()).all())
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    count, known = numbers.n_unique(), look.num_known
    if look.is_target:
        if whole and count <= _FEW_CLASSES and known >= 2 * count:
            return Inferred("category", {}, f"{count} different integers, taken for classes")
        return Inferred("number", {}, f"numbers from {low:g} to {high:g}")
    if whole and _are_compact_dates(numbers, low, high):
        return Inferred("datetime", {"format": "%Y%m%d"}, "dates written as %Y%m%d")
    if count == 2 and (low, high) == (0, 1):
        return Inferred("boolean", {}, "0 and 1")
    if whole:
        found = _infer_integers(look, count, low, high, written_whole)
        if found:
            return found
    return Inferred("number", {}, f"numbers from {low:g} to {high:g}")


def _infer_integers(look: _Look, count: int, low: float, high: float, written_whole: bool) -> Inferred | None:
    """Integers that are no quantity: ids, codes, few repeated values; None for quantities."""
    known = look.num_known
    if is_year(look.name, low, high):
        return None
    if count == known and known >= _MANY_ROWS // 2:
        in_turn = written_whole and high - low + 1 == known >= _MANY_ROWS
        if in_turn and known == look.num_rows:
            return Inferred("ignore", {}, f"it numbers the rows from {low:.0f} to {high:.0f}", "id")
        if numbers_rows(look.name) or is_code(look.name):
            return Inferred("ignore", {}, "each value occurs once, and its name is an id's", "id")
    elif is_key(look.name) or is_code(look.name):
        return _infer_words(look, f"{count:,} different integers, taken for codes because of the name")
    # How many of something starts at 0; 1 to 4 or 5 without a 0 is mostly a code or a grade.
    if known >= 10 * count and (count <= 3 or (count <= 5 and low >= 1)):
        return Inferred("category", {}, f"{count} different integers, taken for codes")
    return None


def _are_compact_dates(numbers: pl.Series, low: float, high: float) -> bool:
    if low < 19000101 or high > 21001231 or len(numbers) < 2:
        return False
    return bool(read_dates(numbers.cast(pl.Int64).cast(pl.String), "%Y%m%d").is_not_null().all())


def _infer_words(look: _Look, note: str = "") -> Inferred:
    values = look.values if look.values.dtype == pl.String else read_categories(look.values)
    count, known = look.num_values, look.num_known
    is_text = count > known / 2 and _are_sentences(look, values)
    if look.is_target:
        return Inferred("category", {}, note or f"{count:,} different words", "text" if is_text else "")
    if count > known / 2 and bool(values.str.contains(_HASH).all()):
        return Inferred("ignore", {}, "hashes or UUIDs", "id")
    if is_text:
        return Inferred("text", {}, f"free text ({count:,} different texts in {known:,} rows)")
    if look.each_once and known >= _MANY_ROWS // 2:
        return Inferred("ignore", {}, "each value occurs once", "id")
    if count > _MANY_VALUES or (count > _FEW_CLASSES and known < _RARE * count):
        return _infer_many_words(look)
    return Inferred("category", {}, note or f"{count:,} different words")


def _infer_many_words(look: _Look) -> Inferred:
    """Many different values: those in few rows are pooled, since nothing can be learned of each."""
    common = float(look.counts[look.counts >= _RARE].sum()) / look.num_known
    missing = 1 - look.num_known / look.num_rows
    if common < 0.1 and not 0.05 <= missing <= 0.95:
        note = f"{look.num_values:,} different values in {look.num_known:,} rows, too rare to learn from"
        return Inferred("ignore", {}, note, "high_cardinality")
    note = f"{look.num_values:,} different values; those in fewer than {_RARE} training rows are pooled"
    return Inferred("category", {"min_count": _RARE}, note)


def _are_sentences(look: _Look, values: pl.Series) -> bool:
    """Whether a row has at least 5 words, 2 long ones or 10 Chinese, Japanese or Korean characters on average.

    Of such characters 4 are enough where most rows end as sentences do.
    """

    def mean(lengths: pl.Series) -> float:
        return float(np.average(lengths.to_numpy(), weights=look.counts))

    words = mean(values.str.count_matches(r"\S+"))
    if words >= 5 or (words >= 2 and mean(values.str.len_chars()) >= 40):
        return True
    characters = mean(values.str.count_matches(_CJK))
    return characters >= 10 or (characters >= 4 and look.share(values.str.contains(_SENTENCE_END)) > 0.5)
