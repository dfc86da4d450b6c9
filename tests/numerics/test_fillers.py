"""Fillers and means of the target against scikit-learn."""

import warnings

import numpy as np
import polars as pl
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.preprocessing import StandardScaler, TargetEncoder

from danlu.columns.fillers.iterative import Iterative
from danlu.columns.fillers.neighbors import Neighbors
from danlu.columns.target import NUM_FOLDS, TargetRows, deal, target_means

NAMES = ("a", "b", "c", "d")


def rows(seed: int, num_rows: int) -> np.ndarray:
    """Numbers that tell each other, a sixth of them missing, none of the rows wholly."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(num_rows, 2))
    made = hidden @ random.normal(size=(2, 4)) + 0.2 * random.normal(size=(num_rows, 4))
    found = made * [1.0, 50.0, 0.01, 3.0] + [0.0, 1000.0, 5.0, -2.0]
    missing = random.random(found.shape) < 1 / 6
    missing[missing.all(axis=1), 0] = False
    found[missing] = np.nan
    return found


def series(matrix: np.ndarray) -> dict[str, pl.Series]:
    return {name: pl.Series(name, column).fill_nan(None) for name, column in zip(NAMES, matrix.T, strict=True)}


def filled(filler: Neighbors | Iterative, train: np.ndarray, asked: np.ndarray) -> np.ndarray:
    state = filler.fit(series(train))
    found = asked.copy()
    for place, name in enumerate(filler.columns):
        missing = np.isnan(asked[:, place])
        found[missing, place] = filler.fill(name, series(asked[missing]), state).to_numpy()
    return found


@pytest.mark.parametrize("num_neighbors", [1, 5, 40])
def test_neighbors_are_those_of_scikit_learn(num_neighbors: int) -> None:
    train, asked = rows(0, 300), rows(1, 90)
    scaler = StandardScaler().fit(train)
    imputer = KNNImputer(n_neighbors=num_neighbors).fit(scaler.transform(train))
    expected = scaler.inverse_transform(imputer.transform(scaler.transform(asked)))
    found = filled(Neighbors(columns=NAMES, num_neighbors=num_neighbors), train, asked)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_fewer_rows_than_neighbors_count_as_many_as_there_are() -> None:
    train, asked = rows(0, 3), rows(1, 30)
    known = asked[~np.isnan(asked[:, 0])]
    known[:, 1:] = known[:, 1:] * 0 + np.nan
    found = Neighbors(columns=NAMES, num_neighbors=50).fill(
        "b", series(known), Neighbors(columns=NAMES, num_neighbors=50).fit(series(train))
    )
    donors = train[~np.isnan(train[:, 0]) & ~np.isnan(train[:, 1]), 1]
    np.testing.assert_allclose(found.to_numpy(), donors.mean())


@pytest.mark.parametrize("max_rounds", [1, 10])
def test_regressions_are_those_of_scikit_learn(max_rounds: int) -> None:
    train, asked = rows(2, 400), rows(3, 120)
    order = np.lexsort(train.T)
    scaler = StandardScaler().fit(train)
    scaled = scaler.transform(train[order])
    low, high = np.nanmin(scaled, axis=0), np.nanmax(scaled, axis=0)
    imputer = IterativeImputer(max_iter=max_rounds, min_value=low, max_value=high, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imputer.fit(scaled)
    expected = scaler.inverse_transform(imputer.transform(scaler.transform(asked)))
    found = filled(Iterative(columns=NAMES, max_rounds=max_rounds), train, asked)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("smooth", [0.0, 10.0])
@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_means_of_the_target_are_those_of_scikit_learn(num_classes: int, smooth: float) -> None:
    random = np.random.default_rng(4)
    groups = random.integers(0, 6, size=500)
    target = (
        random.integers(0, num_classes, size=500).astype(np.int32)
        if num_classes
        else random.normal(size=500).astype(np.float32)
    )
    kinds = {0: "continuous", 2: "binary", 3: "multiclass"}
    encoder = TargetEncoder(smooth=smooth, target_type=kinds[num_classes]).fit(groups[:, None], target)
    numbers = np.eye(3)[target] if num_classes == 3 else np.asarray(target, float)[:, None]
    means, spreads = numbers.mean(axis=0), numbers.std(axis=0)
    given = TargetRows(target, num_classes, np.arange(500), seed=7)
    table = target_means(groups, 6, given, smooth)
    expected = (encoder.transform(np.arange(6)[:, None]) - means) / spreads
    np.testing.assert_allclose(table[NUM_FOLDS], expected, atol=1e-6)


def test_a_fold_is_left_out_by_the_definition() -> None:
    random = np.random.default_rng(5)
    groups, target = random.integers(0, 4, size=200), random.normal(size=200).astype(np.float32)
    table = target_means(groups, 4, TargetRows(target, 0, np.arange(200), seed=1), 3.0)
    folds = deal(1, np.arange(200))
    scaled = (target - target.mean(dtype=np.float64)) / target.std(dtype=np.float64)
    for fold in range(NUM_FOLDS):
        for group in range(4):
            own = scaled[(folds != fold) & (groups == group)]
            assert table[fold, group, 0] == pytest.approx(own.sum() / (len(own) + 3), abs=1e-6)
