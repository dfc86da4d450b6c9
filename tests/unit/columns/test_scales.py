"""Every scale by its formula, its inverse and its behaviour at the edges."""

import numpy as np
import pytest

from danlu.columns.scales import ScaleName, fit_scale

SCALES: tuple[ScaleName, ...] = ("standard", "min_max", "robust", "quantile", "log", "yeo_johnson", "none")
VALUES = np.random.default_rng(3).lognormal(2, 1.5, 500) - 3


@pytest.mark.parametrize("name", SCALES)
def test_invert_undoes_apply_within_and_beyond_the_training_range(name: ScaleName) -> None:
    scale = fit_scale(name, VALUES)
    beyond = np.concatenate([VALUES, [VALUES.min() - 100, VALUES.max() + 1e4, 0.0]])
    np.testing.assert_allclose(scale.invert(scale.apply(beyond)), beyond, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SCALES)
def test_order_is_kept(name: ScaleName) -> None:
    scaled = fit_scale(name, VALUES).apply(np.linspace(-1e3, 1e5, 5000))
    assert (np.diff(scaled) > 0).all()


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e-300, 1e12])
def test_one_value_is_no_division_by_zero(name: ScaleName, value: float) -> None:
    scale = fit_scale(name, np.full(10, value))
    scaled = scale.apply(np.array([value, value + 1]))
    assert np.isfinite(scaled).all()
    assert name == "none" or abs(scaled[0]) < 1e-9
    assert scale.invert(scaled)[0] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", SCALES)
def test_every_scaled_value_is_a_float32(name: ScaleName) -> None:
    scaled = fit_scale(name, VALUES).apply(np.array([1e308, -1e308, 1e-308]))
    assert np.isfinite(scaled.astype(np.float32)).all()
    if name != "none":
        assert np.isfinite(np.square(scaled.astype(np.float32)).sum())


@pytest.mark.parametrize("name", SCALES)
def test_any_prediction_comes_back_finite(name: ScaleName) -> None:
    for values in (VALUES, VALUES * 1e8):
        assert np.isfinite(fit_scale(name, values).invert(np.array([-1e38, -1e6, 1e6, 0.0]))).all()


def test_figures_are_those_of_the_field() -> None:
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    column = VALUES[:, None]
    for name, theirs in (("standard", StandardScaler()), ("min_max", MinMaxScaler()), ("robust", RobustScaler())):
        ours = fit_scale(name, VALUES).apply(VALUES)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, theirs.fit_transform(column)[:, 0], rtol=1e-10, atol=1e-12)


def test_log_is_the_signed_logarithm_standardised() -> None:
    logs = np.sign(VALUES) * np.log1p(np.abs(VALUES))
    np.testing.assert_allclose(fit_scale("log", VALUES).apply(VALUES), (logs - logs.mean()) / logs.std(), rtol=1e-12)


def test_quantile_makes_a_skewed_column_normal() -> None:
    scaled = fit_scale("quantile", np.random.default_rng(0).lognormal(0, 3, 20_000)).apply(
        np.random.default_rng(1).lognormal(0, 3, 20_000)
    )
    assert abs(scaled.mean()) < 0.05
    assert abs(scaled.std() - 1) < 0.05
    assert np.abs(scaled).max() < 6


def test_quantile_keeps_at_most_a_thousand_rows_and_bears_ties() -> None:
    values = np.concatenate([np.zeros(30_000), np.arange(10_000.0)])
    scale = fit_scale("quantile", values)
    assert len(scale.quantiles) <= 1000
    assert (np.diff(scale.quantiles) > 0).all()
    assert (np.diff(scale.scores) > 0).all()
    np.testing.assert_allclose(scale.invert(scale.apply(values)), values, atol=1e-6)


@pytest.mark.parametrize("name", ["min_max", "quantile"])
def test_a_wild_value_does_not_explode(name: ScaleName) -> None:
    assert abs(fit_scale(name, VALUES).apply(np.array([1e12]))[0]) < 40


def test_robust_falls_to_the_deviation_where_half_of_the_rows_are_equal() -> None:
    values = np.array([0.0] * 9 + [10.0])
    assert fit_scale("robust", values).figures == (0.0, values.std())
