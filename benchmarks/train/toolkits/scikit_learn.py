"""scikit-learn's MLPClassifier. It has no epochs to hook on to, and nothing to trace: all of `fit` is timed."""

from __future__ import annotations

import warnings

from measured import measured

asked = measured()

import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
model = MLPClassifier(
    asked.case.widths,
    solver="adam",
    alpha=0.0,
    batch_size=asked.case.batch_size,
    learning_rate_init=1e-3,
    max_iter=asked.epochs,
    tol=0.0,
    n_iter_no_change=asked.epochs + 1,
    random_state=asked.seed,
)
with asked.fitting():
    model.fit(asked.inputs("train"), asked.classes("train"))
assert model.n_iter_ == asked.epochs
asked.tell("scikit-learn", sklearn.__version__, model.predict(asked.inputs("test")))
