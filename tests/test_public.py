"""What `import danlu` offers."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import danlu


def test_every_public_name_is_there() -> None:
    assert set(danlu.__all__) <= set(dir(danlu))
    for name in danlu.__all__:
        assert getattr(danlu, name) is not None
    with pytest.raises(AttributeError, match="module 'danlu' has no attribute 'nothing'"):
        _ = danlu.nothing


def test_fit_takes_rows_in_memory(tmp_path: Path) -> None:
    rows = [
        {"size": index % 17, "kind": "ab"[index % 2], "price": 3.0 * (index % 17) + index % 2} for index in range(200)
    ]
    result = danlu.fit(
        rows,
        target="price",
        root=tmp_path,
        train={"epochs": 1},
        evaluate={"bootstrap": 0, "baselines": []},
        compress={"try": []},
        data={"columns": {"kind": "category"}},
    )
    assert result.run.folder == tmp_path / "frame-0001"
    answers = danlu.load(result.bundle).predict(pl.DataFrame(rows[:3]))
    assert answers.columns == ["prediction"]
    assert answers.height == 3


def test_fit_tells_what_is_wrong_with_its_sections() -> None:
    with pytest.raises(
        danlu.RecipeError, match=r"train\.epocs is not an option of train\n  fix: did you mean epochs\?"
    ):
        danlu.fit([{"a": 1, "b": 2}], target="b", train={"epocs": 1})
