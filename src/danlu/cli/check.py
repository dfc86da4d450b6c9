"""`danlu check`."""

from __future__ import annotations

from danlu.cli.options import Overrides, RecipeArgument


def check(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Check a recipe without running it.

    Prints every fault with its place and its fix, or a forecast of rows, parameters, memory and time.
    """
    from danlu.cli.options import recipe_of
    from danlu.cli.table import print_table
    from danlu.pipeline import forecast

    found = forecast(recipe_of(recipe, overrides))
    print(f"{recipe} is right")
    print_table(("forecast", ""), forecast_rows(found))


def forecast_rows(found: object) -> list[tuple[str, str]]:
    """A forecast as (what, value)."""
    raise NotImplementedError
