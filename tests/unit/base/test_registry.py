from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from annotated_types import Gt
from pydantic import ValidationError

from danlu import catalog
from danlu.base.errors import DanluError
from danlu.base.registry import build, describe, validate


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example.

    Attributes:
        lr: step size,
            told on two lines.
        mode: how.
    """

    lr: Annotated[float, Gt(0)] = 1e-3
    mode: Literal["fast", "exact"] = "fast"


def test_options_come_from_the_signature() -> None:
    assert validate(Example, {"lr": 1}) == {"lr": 1.0, "mode": "fast"}
    assert build(Example, {"mode": "exact"}) == Example(mode="exact")
    lr, mode = describe(Example)
    assert (lr.name, lr.default, lr.doc) == ("lr", 1e-3, "step size, told on two lines.")
    assert lr.schema["exclusiveMinimum"] == 0
    assert mode.schema["enum"] == ["fast", "exact"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"lr": 0}, "greater_than"),
        ({"lr": "1"}, "float_type"),
        ({"lr": True}, "float_type"),
        ({"lr": float("nan")}, "finite_number"),
        ({"mode": "slow"}, "literal_error"),
        ({"rate": 1}, "extra_forbidden"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, object], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate(Example, given)
    assert [error["type"] for error in caught.value.errors()] == [kind]


def test_an_unknown_component_names_the_nearest() -> None:
    with pytest.raises(DanluError, match="adamm is not one of optimizers: auto, sgd, adam") as caught:
        catalog.find("optimizers", "adamm")
    assert caught.value.hint == "did you mean adam?"


@pytest.mark.parametrize("family", catalog.CATALOG)
def test_every_row_of_the_catalogue_can_be_imported_and_tells_its_options(family: str) -> None:
    for name in catalog.names(family):
        component = catalog.find(family, name)
        assert component.__doc__, name
        if family != "tasks":
            assert all(option.doc for option in describe(component)), name
