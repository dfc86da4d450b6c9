"""CoNLL: a token and its tag to a line, a blank line between two sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.encoding import decode
from danlu.prepare.sources.packing import read_bytes
from danlu.prepare.sources.table import Table, located, rejected_rows

_DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True, kw_only=True)
class Conll:
    """A file of tagged sentences (`.conll`, also packed): the columns `tokens` and `tags`, a list of each a sentence.

    A line holds a token and, after a tab (or, where there is none, blanks), its tag; of several fields the first is the
    token and the last the tag. Passed over are `-DOCSTART-` and comments: lines that begin with `# ` and are not like
    the other lines, since they have no tab or another number of fields. Without tags anywhere, to be predicted say,
    there are `tokens` alone.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """All sentences. One with a line that lacks its tag is rejected, with its reason.

        Raises:
            DataError: no such file, or an empty one.
        """
        path = located(source, base)
        data, _ = decode(read_bytes(path), encoding="auto", path=path)
        sentences = list(_sentences(data.decode("utf-8").split("\n")))
        if not sentences:
            raise DataError(f"{path.name} holds no token", where=str(path), hint="give lines of TOKEN, tab, TAG")
        tagged = any(tags for _, tags, _ in sentences)
        rows, rejected = [], []
        for number, (tokens, tags, line) in enumerate(sentences):
            if tagged and len(tags) != len(tokens):
                reason = f"{len(tokens)} tokens have {len(tags)} tags"
                rejected.append((number, f"{path}:{line}", reason))
            else:
                rows.append(number)
        columns = {"tokens": 0, "tags": 1} if tagged else {"tokens": 0}
        frame = pl.DataFrame(
            {
                name: pl.Series([sentences[row][place] for row in rows], dtype=pl.List(pl.String))
                for name, place in columns.items()
            }
        )
        return Table(
            frame=frame,
            rows=np.array(rows, np.int64),
            files=(path,),
            target="tags" if tagged else None,
            rejected=rejected_rows(rejected),
        )


def _sentences(lines: list[str]) -> Iterator[tuple[list[str], list[str], int]]:
    """Tokens and tags of each sentence, and the number of its first line, from 1."""
    usual = next((line for line in lines if line.strip() and not line.startswith(("#", _DOCUMENT))), "\t")
    tokens: list[str] = []
    tags: list[str] = []
    first = 1
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if tokens:
                yield tokens, tags, first
            tokens, tags, first = [], [], number + 1
            continue
        fields = _fields(line)
        is_token = "\t" in line or ("\t" not in usual and len(fields) == len(usual.split()))
        if fields[0] == _DOCUMENT or (line.startswith("# ") and not is_token):
            continue
        tokens.append(fields[0])
        tags += [fields[-1]] if len(fields) > 1 and fields[-1] else []
    if tokens:
        yield tokens, tags, first


def _fields(line: str) -> list[str]:
    """A line's fields, of which the last has no blanks around it."""
    *others, last = line.split("\t") if "\t" in line else line.split()
    return [*others, last.strip()]
