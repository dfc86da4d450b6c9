"""Which variant is released, and whether it does what `require` asks."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from danlu.base.errors import DanluError
from danlu.compress.measuring import relative_drop
from danlu.compress.variant import Variant, Variants
from danlu.evaluate.score import metric
from danlu.recipe.schema import Recipe, parse_condition

Row = tuple[str, str, str, bool]
"""(name, asked, got, met), as it is shown."""

_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def requirement_rows(require: Mapping[str, str], variant: Variant) -> tuple[Row, ...]:
    """One row for every requirement: metrics on the test split, `latency_ms` and `size_mb` as measured."""
    rows = []
    for name, condition in require.items():
        sign, asked = parse_condition(condition)
        value = measured(variant, name)
        met = math.isfinite(value) and _HOLDS[sign](value, asked)
        rows.append((name, f"{sign} {asked:g}", f"{value:.6g}" if math.isfinite(value) else "undefined", met))
    return tuple(rows)


def measured(variant: Variant, name: str) -> float:
    """What a variant has of one requirement; NaN where it is undefined or was not measured."""
    value = {"latency_ms": variant.latency_ms, "size_mb": variant.size_mb}.get(name, math.nan)
    if name in ("latency_ms", "size_mb"):
        return math.nan if value is None else value
    return variant.scores.get("test", {}).get(name, math.nan)


def meets(require: Mapping[str, str], variant: Variant) -> bool:
    """Whether a variant meets every requirement."""
    return all(met for *_, met in requirement_rows(require, variant))


def choose(recipe: Recipe, variants: Variants) -> Variant:
    """The variant to release: the one the recipe names; or fp32 where it meets `require`, else the smallest that does.

    Where none does, fp32, so that what is missed is shown of the best there is.

    Raises:
        DanluError: the recipe names a variant that was refused; says why.
    """
    name = recipe.deploy.variant
    if name == "auto":
        good = [variant for variant in variants.variants if variant.accepted and meets(recipe.require, variant)]
        kept = [variant for variant in good if test_drop(variant, variants) <= recipe.compress.max_drop]
        smallest = sorted(kept, key=lambda variant: variant.size_mb or math.inf)
        return next((variant for variant in kept if variant is variants.fp32), (smallest or [variants.fp32])[0])
    found = variants.find(name)
    assert found is not None  # the recipe's own check
    if not found.accepted:
        raise DanluError(
            f"not released: deploy.variant is {name}, which was refused: {found.reason}",
            where="deploy.variant",
            hint="set deploy.variant to auto, or allow more with compress.max_drop",
        )
    return found


def test_drop(variant: Variant, variants: Variants) -> float:
    """How much worse a variant's main metric is on the test split than fp32's, relative to it; 0 where undefined."""
    main = variants.main
    drop = relative_drop(
        measured(variant, main), measured(variants.fp32, main), greater_is_better=metric(main).greater_is_better
    )
    return 0.0 if math.isnan(drop) else drop
