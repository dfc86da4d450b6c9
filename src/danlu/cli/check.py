"""`danlu check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from danlu.cli.options import Overrides, RecipeArgument

if TYPE_CHECKING:
    from danlu.pipeline import Forecast


def check(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Check a recipe without running it.

    Prints every fault with its place and its fix, or a forecast of rows, parameters, memory and time.
    """
    from danlu.cli.options import recipe_of
    from danlu.cli.table import print_table
    from danlu.pipeline import forecast

    found = forecast(recipe_of(recipe, overrides))
    print(f"{recipe} is right\n")
    print_table(("forecast", ""), forecast_rows(found))


def forecast_rows(found: Forecast) -> list[tuple[str, str]]:
    """A forecast as (what, value), in its own order."""
    return [row for field in fields(found) for row in _rows(field.name, getattr(found, field.name))]


def _rows(name: str, value: Any) -> list[tuple[str, str]]:
    from danlu.base.progress import duration

    if isinstance(value, Mapping):
        return [row for key, item in value.items() for row in _rows(f"{name}: {key}", item)]
    if isinstance(value, float):
        if name.endswith("seconds"):
            return [(name.replace("seconds", "time"), f"about {duration(value)}")]
        if name.endswith("_mb"):
            return [(_said(name.removesuffix("_mb")), f"{value:,.1f} MB")]
        return [(_said(name), f"{value:,.4g}")]
    if isinstance(value, int) and not isinstance(value, bool):
        return [(_said(name), f"{value:,}")]
    return [(_said(name), ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))]


def _said(name: str) -> str:
    return name.replace("_", " ")
