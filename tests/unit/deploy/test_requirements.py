"""What `require` asks, and which variant is released."""

from __future__ import annotations

from typing import Any

import pytest

from danlu.base.errors import DanluError
from danlu.compress.variant import Variant, Variants
from danlu.deploy.requirements import choose, meets, requirement_rows
from danlu.recipe.schema import Recipe


def variant(name: str, size: float, accuracy: float, *, accepted: bool = True, latency: float | None = 1.0) -> Variant:
    scores = {"validation": {"accuracy": accuracy}, "test": {"accuracy": accuracy}}
    return Variant(
        name=name,
        path=None,
        size_mb=size,
        latency_ms=latency,
        scores=scores,
        accepted=accepted,
        reason="accuracy falls",
    )


VARIANTS = Variants(
    (
        variant("fp32", 10, 0.90, latency=4.0),
        variant("int8_dynamic", 3, 0.90),
        variant("int8_static", 2, 0.895, latency=2.0),
        variant("tiny", 1, 0.5, accepted=False),
    ),
    "accuracy",
    "f",
)


def recipe(require: dict[str, str] | None = None, **deploy: Any) -> Recipe:
    made = Recipe.model_validate({"data": "a.csv", "target": "t", "require": require or {}})
    return made.model_copy(update={"deploy": made.deploy.model_copy(update=deploy)})


def test_the_table_says_what_was_asked_and_got() -> None:
    rows = requirement_rows({"accuracy": ">= 0.9", "latency_ms": "< 4", "size_mb": "<= 10"}, VARIANTS.fp32)
    assert rows == (
        ("accuracy", ">= 0.9", "0.9", True),
        ("latency_ms", "< 4", "4", False),
        ("size_mb", "<= 10", "10", True),
    )


def test_what_is_undefined_is_never_met() -> None:
    odd = Variant(name="x", path=None, scores={"test": {"roc_auc": float("nan")}}, accepted=True, reason="")
    for name in ("roc_auc", "latency_ms", "accuracy"):
        assert requirement_rows({name: "<= 1e9"}, odd) == ((name, "<= 1e+09", "undefined", False),)
        assert not meets({name: "<= 1e9"}, odd)


@pytest.mark.parametrize(
    ("require", "expected"),
    [
        ({}, "fp32"),
        ({"accuracy": ">= 0.9"}, "fp32"),
        ({"latency_ms": "<= 3"}, "int8_static"),
        ({"latency_ms": "<= 3", "accuracy": ">= 0.9"}, "int8_dynamic"),
        ({"size_mb": "<= 1"}, "fp32"),
        ({"accuracy": ">= 0.99"}, "fp32"),
    ],
)
def test_auto_takes_fp32_or_the_smallest_that_does(require: dict[str, str], expected: str) -> None:
    assert choose(recipe(require), VARIANTS).name == expected


def test_auto_leaves_out_what_loses_too_much_on_the_test_split() -> None:
    worse = Variants((VARIANTS.fp32, variant("int8_static", 2, 0.85)), "accuracy", "f")
    assert choose(recipe({"size_mb": "<= 5"}), worse).name == "fp32"


def test_a_variant_by_name() -> None:
    assert choose(recipe(variant="int8_static"), VARIANTS).name == "int8_static"


def test_a_refused_variant_by_name_is_not_released() -> None:
    with pytest.raises(DanluError, match=r"deploy\.variant is tiny, which was refused: accuracy falls"):
        choose(recipe(variant="tiny"), VARIANTS)
