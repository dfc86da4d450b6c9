"""Every augmentation of the catalogue, on every kind of field it takes."""

from __future__ import annotations

import numpy as np
import pytest

from danlu import catalog
from danlu.base import registry
from danlu.columns.column import Field
from danlu.train.rows.draws import Draws

FIELDS = [
    Field("pixels", "image", (16, 12, 3), mean=(120.0, 110.0, 100.0), std=(60.0, 60.0, 60.0)),
    Field("pixels", "image", (9, 9, 1), mean=(30.0,), std=(60.0,)),
    Field("steps", "series", (24, 5), masked=True),
    Field("steps", "series", (24, 4)),
    Field("value", "scalar", (6,)),
]
CASES = [
    pytest.param(name, field, id=f"{name}-{field.kind}-{field.shape[-1]}")
    for name in catalog.names("augmentations")
    for field in FIELDS
    if field.kind in catalog.find("augmentations", name).kinds  # type: ignore[attr-defined]
]


def rows_of(field: Field, count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    if field.kind == "image":
        return random.integers(0, 256, (count, *field.shape), np.uint8)
    values = random.normal(size=(count, *field.shape)).astype(np.float32)
    if field.masked:
        there = np.arange(field.shape[0]) < random.integers(0, field.shape[0] + 1, count)[:, None]
        values[..., -1] = 1
        values *= there[..., None]
    return values


def changed(name: str, field: Field, values: np.ndarray, draws: Draws) -> np.ndarray:
    one = registry.build(catalog.find("augmentations", name))
    if hasattr(one, "mix"):
        shares = one.shares((field,), draws)
        assert shares.shape == (len(draws),)
        assert ((shares >= 0) & (shares <= 1)).all()
        return np.asarray(one.mix(values.copy(), rows_of(field, 64)[draws.rows[::-1] % 64], field, draws))
    return np.asarray(one.apply(values.copy(), field, draws))


@pytest.mark.parametrize(("name", "field"), CASES)
def test_an_augmentation_keeps_its_contract(name: str, field: Field) -> None:
    values, draws = rows_of(field, 64), Draws(5, 2, np.arange(64))
    found = changed(name, field, values, draws)
    assert found.shape == values.shape
    assert found.dtype == values.dtype
    assert np.isfinite(found).all()
    assert (found != values).any(), "it changes nothing"
    np.testing.assert_array_equal(changed(name, field, values, draws), found, "other numbers the second time")
    other = changed(name, field, values, Draws(5, 3, np.arange(64)))
    assert (other != found).any(), "each epoch is the same"
    if field.masked:
        assert set(np.unique(found[..., -1])) <= {0.0, 1.0}
    if not hasattr(catalog.find("augmentations", name), "mix"):
        some = np.array([40, 3, 17, 5, 63])
        alone = changed(name, field, values[some], draws.some(some))
        np.testing.assert_array_equal(alone, found[some], "a row hangs on the rows beside it")
