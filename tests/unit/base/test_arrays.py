"""Rows of arrays on disk: read plainly where the map is large, the same rows either way."""

from pathlib import Path

import numpy as np
import pytest

from danlu.base.arrays import gather, stretch
from danlu.base.errors import DataError

ROWS, WIDTH = 200_000, 100  # 80 MB: past the bound up to which maps are used as they are


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> np.memmap:
    path = tmp_path_factory.mktemp("arrays") / "large.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (ROWS, WIDTH))
    array[:] = np.arange(ROWS, dtype=np.float32)[:, None] + np.linspace(0, 0.5, WIDTH, dtype=np.float32)
    array.flush()
    return np.load(path, mmap_mode="r")


def resident_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.parametrize(
    "rows",
    [
        np.arange(1000, 3000),
        np.arange(3000, 1000, -1),
        np.array([7, 7, 199_999, 0, 7]),
        np.random.default_rng(0).integers(0, ROWS, 5000),
        np.random.default_rng(1).permutation(30_000) + 5,
        np.arange(0, ROWS, 37),
        np.zeros(0, np.int64),
        np.array([ROWS - 1]),
    ],
    ids=["stretch", "backwards", "repeated", "scattered", "permuted", "every-37th", "none", "last"],
)
def test_rows_are_those_of_the_map(large: np.memmap, rows: np.ndarray) -> None:
    found = gather(large, rows)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, np.take(large, rows, axis=0))
    np.testing.assert_array_equal(gather(np.asarray(large[:]), rows), found)


def test_no_page_of_a_large_map_stays_in_memory(large: np.memmap) -> None:
    before = resident_kb()
    for start in range(0, ROWS, 20_000):
        stretch(large, start, start + 20_000)
        gather(large, np.random.default_rng(start).permutation(20_000) + start)
    assert resident_kb() - before < 50_000, "the array has 80 MB"


def test_stretches_are_copies_and_end_with_the_array(large: np.memmap) -> None:
    found = stretch(large, ROWS - 3, ROWS + 10)
    np.testing.assert_array_equal(found, large[-3:])
    found[:] = 0
    small = np.arange(6).reshape(3, 2)
    copy = stretch(small, 1, 9)
    copy[:] = 0
    assert small.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_part_of_a_map_is_not_taken_for_the_whole(large: np.memmap) -> None:
    part = large[10:]
    np.testing.assert_array_equal(gather(part, np.array([0, 5])), part[[0, 5]])
    np.testing.assert_array_equal(stretch(part, 0, 2), large[10:12])
    columns = large[:, 3:5]
    np.testing.assert_array_equal(stretch(columns, 4, 6), large[4:6, 3:5])


def test_a_file_that_was_cut_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (1000, 100_000)).flush()
    array = np.load(path, mmap_mode="r")
    with open(path, "r+b") as file:
        file.truncate(50_000_000)
    with pytest.raises(DataError, match=r"cut\.npy cannot be read: it ends too early"):
        stretch(array, 400, 600)
    with pytest.raises(DataError, match="it ends too early"):
        gather(array, np.array([1, 999]))
    path.unlink()
    for read in (lambda: stretch(array, 400, 600), lambda: gather(array, np.array([1, 999]))):
        with pytest.raises(DataError, match=r"cut\.npy cannot be read: No such file or directory"):
            read()
