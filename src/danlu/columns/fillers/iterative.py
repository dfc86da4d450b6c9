"""A missing value is what regressions on the other columns say, one after the other, round by round.

Source: van Buuren and Groothuis-Oudshoorn, mice, Journal of Statistical Software 45 (2011). Fitted by scikit-learn's
IterativeImputer (Bayesian ridge); its coefficients are kept, and applied here without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Le, MinLen

from danlu.base.devices import need
from danlu.columns.column import State
from danlu.columns.fillers.filler import Values
from danlu.columns.fillers.rows import NUMBERS, Scaling, fit_scaling, matrix_of, some_rows
from danlu.columns.fillers.values import to_values


@dataclass(frozen=True)
class IterativeState(State):
    """What a filler by regressions learned on the training rows.

    Attributes:
        means: (C,) see `Scaling`.
        spreads: (C,) see `Scaling`.
        starts: (C,) what a missing value is before the first regression, scaled.
        lows: (C,) the smallest training value, scaled; what is filled never lies below.
        highs: (C,) the largest.
        targets: (S,) int64, the column that each regression fills, in their order.
        weights: (S, C) float64, 0 for the column itself.
        biases: (S,) float64.
        num_rows: the training rows that there were.
        num_used: those that the regressions were fitted on.
        settled: whether the last round changed next to nothing.
    """

    means: np.ndarray
    spreads: np.ndarray
    starts: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    num_rows: int
    num_used: int
    settled: bool


@dataclass(frozen=True, kw_only=True)
class Iterative:
    """What Bayesian ridge regressions on the other columns predict, each with what those before it have filled.

    Attributes:
        columns: what is filled.
        by: further columns to predict from; `columns` predict each other too. A row that knows none of them is left to
            what comes after.
        max_rounds: rounds over all columns; fewer where a round changes next to nothing.
        max_rows: training rows to fit on; of more, so many are drawn.
    """

    state_type: ClassVar[type[State]] = IterativeState
    columns: Annotated[tuple[str, ...], MinLen(1)]
    by: tuple[str, ...] = ()
    max_rounds: Annotated[int, Ge(1), Le(100)] = 10
    max_rows: Annotated[int, Ge(10), Le(1_000_000)] = 20_000

    def takes(self) -> Mapping[str, tuple[str, ...]]:
        """Numbers; booleans are 0 and 1."""
        return {"columns": ("number",), "by": NUMBERS}

    def looks_at(self) -> tuple[str, ...]:
        """What is predicted from."""
        return (*self.columns, *self.by)

    def fit(self, values: Values) -> IterativeState:
        """Fit the regressions by scikit-learn. Raises MissingExtraError where it is not installed."""
        rows = matrix_of(values, self.looks_at())
        used = some_rows(rows, self.max_rows)
        scaling = fit_scaling(used)
        scaled = scaling.apply(used)
        lows, highs = np.nanmin(scaled, axis=0), np.nanmax(scaled, axis=0)
        imputer, settled = _fitted(scaled, lows, highs, self.max_rounds)
        steps = imputer.imputation_sequence_
        weights = np.zeros((len(steps), scaled.shape[1]))
        for step, (_, others, regression) in enumerate(steps):
            weights[step, others] = regression.coef_
        return IterativeState(
            scaling.means,
            scaling.spreads,
            np.asarray(imputer.initial_imputer_.statistics_, np.float64),
            lows,
            highs,
            np.array([step.feat_idx for step in steps], np.int64),
            weights,
            np.array([step.estimator.intercept_ for step in steps], np.float64),
            int((~np.isnan(rows).all(axis=1)).sum()),
            len(used),
            settled,
        )

    def notes(self, state: IterativeState) -> str:
        """How many rows it was fitted on, and whether it settled."""
        some = f"iterative is fitted on {state.num_used:,} of {state.num_rows:,} rows"
        open_ = f"iterative had not settled after {self.max_rounds} rounds"
        return "; ".join([some] * (state.num_used < state.num_rows) + [open_] * (not state.settled))

    def fill(self, column: str, values: Values, state: IterativeState) -> pl.Series:
        """What the last regression of the column says.

        Weighted column by column, so that what a row is filled with does not hang on the rows beside it.
        """
        names = self.looks_at()
        scaling = Scaling(state.means, state.spreads)
        rows = scaling.apply(matrix_of(values, names))
        missing = np.isnan(rows)
        filled = np.where(missing, state.starts, rows)
        with np.errstate(over="ignore", invalid="ignore"):  # what is past all bounds says nothing: NaN
            for target, weights, bias in zip(state.targets, state.weights, state.biases, strict=True):
                said = np.zeros(len(rows))
                for other in np.flatnonzero(weights):
                    said += filled[:, other] * weights[other]
                said = np.clip(said + bias, state.lows[target], state.highs[target])
                filled[:, target] = np.where(missing[:, target], said, filled[:, target])
        place = names.index(column)
        filled[missing.all(axis=1), place] = np.nan
        return to_values(scaling.invert(place, filled[:, place]), values[column].dtype)


def _fitted(rows: np.ndarray, lows: np.ndarray, highs: np.ndarray, max_rounds: int) -> tuple[Any, bool]:
    """scikit-learn's imputer fitted on (N, C) rows, and whether it settled."""
    need("sklearn", "train")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from threadpoolctl import threadpool_limits

    constant = lows == highs  # the imputer wants a range
    imputer = IterativeImputer(
        max_iter=max_rounds,
        min_value=np.where(constant, -np.inf, lows),
        max_value=np.where(constant, np.inf, highs),
        random_state=0,
    )
    # One thread: the last bits of a sum hang on how many share it.
    with warnings.catch_warnings(record=True) as told, threadpool_limits(1):
        warnings.simplefilter("always", ConvergenceWarning)
        imputer.fit(rows)
    return imputer, not any(issubclass(one.category, ConvergenceWarning) for one in told)
