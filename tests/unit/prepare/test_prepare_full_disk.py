"""A disk that is full while a table is read or looked at: told with its remedy, as no fault of Danlu's."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import StorageError
from danlu.base.progress import Quiet
from danlu.prepare.cache import cached, partial_folder
from danlu.prepare.columnar import Columns, Gathering

TOLD = r"could not write .*No space left(?s:.*)free some space"


@pytest.fixture
def full(tmp_path: Path) -> Path:
    for name in ("00000.arrow", ".00000.arrow.partial"):
        (tmp_path / name).symlink_to("/dev/full")
    return tmp_path


def test_parts_of_a_table(full: Path) -> None:
    with pytest.raises(StorageError, match=TOLD):
        Gathering(full, held_bytes=1000).add(pl.DataFrame({"a": range(100_000)}))


def test_columns_of_a_table(full: Path) -> None:
    with pytest.raises(StorageError, match=TOLD):
        Columns(full).put("a", pl.Series(range(100_000)))


def test_an_array(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        with open(folder / "a.npy", "wb") as file:
            raise OSError(f"400000 requested and {file.tell()} written")  # as NumPy says it

    with pytest.raises(StorageError, match=r"could not write .*(?s:.*)free some space"):
        cached(tmp_path, "a", build, Quiet())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"could not write(?s:.*)check the folder"):
        Gathering(tmp_path / "file" / "rows", held_bytes=1).add(pl.DataFrame({"a": [1]}))
    with pytest.raises(StorageError, match="could not write"), partial_folder(tmp_path / "file", "rows"):
        pass
