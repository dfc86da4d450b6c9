"""The Yeo-Johnson scale against scikit-learn, and what must hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import PowerTransformer

from danlu.columns.power import bend, fit_power
from danlu.columns.scales import fit_scale

RANDOM = np.random.default_rng(5)
COLUMNS = {
    "lognormal": RANDOM.lognormal(0, 1, 2000),
    "incomes": RANDOM.lognormal(10, 0.7, 2000),
    "exponential": RANDOM.exponential(3, 2000),
    "skewed to the left": 50 - RANDOM.gamma(2, 5, 2000),
    "both signs": RANDOM.normal(0, 1, 2000) ** 3,
    "negative": -RANDOM.lognormal(1, 1, 2000),
    "counts": RANDOM.poisson(1.3, 2000).astype(float),
    "normal": RANDOM.normal(3, 2, 2000),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_power_and_scaled_values_are_scikit_learns(name: str) -> None:
    values = COLUMNS[name]
    theirs = PowerTransformer(method="yeo-johnson")
    expected = theirs.fit_transform(values[:, None])[:, 0]
    assert fit_power(values).power == pytest.approx(theirs.lambdas_[0], abs=2e-5)
    np.testing.assert_allclose(fit_scale("yeo_johnson", values).apply(values), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("power", [-1.5, 0.0, 0.5, 1.0, 2.0, 3.5])
def test_the_function_is_scipys(power: float) -> None:
    from scipy.stats import yeojohnson

    values = np.linspace(-20, 30, 301)
    np.testing.assert_allclose(bend(values, power), yeojohnson(values, power), rtol=1e-10, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, some.integers(1, 40), elements=some.floats(-1e9, 1e9, width=32)))
@example(np.array([0.0] + [1.0] * 29))  # the best power is as large as may be: digits near zero must not be lost
def test_any_column_is_bent_in_order_and_back(values: np.ndarray) -> None:
    assume(not 0 < np.ptp(values) < 1e-6)  # the line below would lie past 1e15 deviations, where scaled values stop
    scale = fit_scale("yeo_johnson", values)
    reach = max(float(np.ptp(values)), 1.0)
    line = np.linspace(values.min() - reach, values.max() + reach, 41)
    scaled = scale.apply(line)
    assert np.isfinite(scale.figures).all()
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= 0).all()
    largest = max(1.0, float(np.abs(line).max()))
    np.testing.assert_allclose(scale.invert(scaled), line, rtol=1e-5, atol=1e-5 * largest)
    assert np.isfinite(scale.invert(np.array([-1e6, 1e6]))).all()
