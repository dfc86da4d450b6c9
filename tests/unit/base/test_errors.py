import pickle

import pytest

from danlu.base.errors import (
    DataError,
    Fault,
    MissingExtraError,
    NonFiniteLossError,
    RecipeError,
    RequirementError,
    nearest,
)

ERRORS = [
    DataError("the value x is not a number", where="column age, row 3", hint="add x to data.missing_values"),
    RecipeError(
        [Fault(path="train.epocs", message="is not an option", file="a.yaml", line=3, column=5, hint="epochs")]
    ),
    MissingExtraError("torch", "train"),
    NonFiniteLossError(step=7, loss=float("inf"), rows=[1, 2, 3], gradients=[("head.weight", 1e9)]),
    RequirementError([("accuracy", ">= 0.99", "0.95", False)]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling_between_processes(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_faults_are_sorted_by_line_and_show_place_and_fix() -> None:
    error = RecipeError(
        [
            Fault(path="b", message="is wrong", file="r.yaml", line=9, column=1),
            Fault(path="a", message="is wrong", file="r.yaml", line=2, column=3, hint="set it to 4"),
        ]
    )
    assert str(error) == "a is wrong\n  r.yaml:2:3 · fix: set it to 4\nb is wrong\n  r.yaml:9:1"


def test_a_non_finite_loss_names_step_rows_and_gradients() -> None:
    text = str(ERRORS[3])
    assert "inf at step 7" in text
    assert "rows 1, 2, 3" in text
    assert "head.weight 1e+09" in text


def test_the_nearest_name_is_found_or_none() -> None:
    assert nearest("epocs", ["epochs", "seed"]) == "epochs"
    assert nearest("zzz", ["epochs", "seed"]) == ""
