"""Pictures that look the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.prepare.audit import Audited
from danlu.prepare.audit.pictures import alike, difference_hashes, find_alike_pictures, thumbnails
from danlu.prepare.choose import choose_columns
from danlu.recipe.schema import Recipe


def audited(values: pl.Series, codes: list[int]) -> Audited:
    label = pl.Series("label", ["a", "b"] * (len(values) // 2))
    frame = pl.DataFrame([values, label])
    chosen = choose_columns(frame, Recipe.model_validate({"data": frame, "target": "label"}), [])
    parsed = {values.name: chosen[values.name].parse(values)}
    return Audited(parsed, chosen, label, np.array(codes, np.int8), np.arange(len(values)) + 100, {})


def photo(seed: int, side: int = 64) -> np.ndarray:
    """(S, S, 3) uint8: large soft blocks."""
    blocks = np.random.default_rng(seed).uniform(30, 220, (8, 8, 3))
    return np.kron(blocks, np.ones((side // 8, side // 8, 1))).astype(np.uint8)


def test_files_saved_again_are_found_and_their_rows_named(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    paths = []
    for seed in range(12):
        path = tmp_path / f"{seed}.png"
        image.fromarray(photo(seed)).save(path)
        paths.append(str(path))
    image.fromarray(photo(1)).resize((48, 48)).save(tmp_path / "again.jpg", quality=70)
    image.fromarray(photo(2)).save(tmp_path / "other.jpg", quality=70)
    paths[10], paths[5] = str(tmp_path / "again.jpg"), str(tmp_path / "other.jpg")
    found = find_alike_pictures(audited(pl.Series("file", paths), [0] * 8 + [2] * 4))
    assert [(one.key, one.severity, one.rows) for one in found] == [
        ("alike_pictures", "warning", (101, 110)),
        ("repeated_pictures", "note", (102, 105)),
    ]
    assert found[0].message == "file: 1 test pictures look like a training picture"


def test_pictures_of_one_grey_look_like_none() -> None:
    assert alike(np.full((5, 16, 16), 7, np.float32)).shape == (0, 2)


def test_a_difference_hash_is_of_brighter_right_neighbours() -> None:
    rising = np.tile(np.arange(16, dtype=np.float32), (1, 16, 1))
    assert difference_hashes(rising).tolist() == [2**64 - 1]
    assert difference_hashes(-rising).tolist() == [0]


def test_a_thumbnail_is_the_mean_of_areas() -> None:
    values = pl.Series(np.random.default_rng(0).integers(0, 255, (3, 32, 48), np.uint8))
    expected = values.to_numpy().reshape(3, 16, 2, 16, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(thumbnails(values), expected, rtol=1e-5)
