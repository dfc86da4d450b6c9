"""`danlu check`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from danlu.cli.options import Overrides, Quiet, RecipeArgument

if TYPE_CHECKING:
    from danlu.forecast import Forecast
    from danlu.train.stepping.engine import Engine


def check(recipe: RecipeArgument, overrides: Overrides = None, quiet: Quiet = False) -> None:
    """Check a recipe and its data without running it.

    Prints every fault with its place and its fix, or a forecast of rows, parameters, memory and time. Writes nothing.
    """
    from danlu.base.progress import choose_progress
    from danlu.cli.options import recipe_of
    from danlu.cli.summary import finding_lines
    from danlu.cli.table import table_lines
    from danlu.prepare.findings import refuse

    whole = recipe_of(recipe, overrides)
    from danlu.forecast import forecast

    found = forecast(whole, progress=choose_progress(quiet=quiet))
    if not quiet:
        noticed = finding_lines(found.findings)
        table = table_lines(("", ""), forecast_rows(found))
        print("\n".join([f"{recipe} is right", "", *table, *([""] if noticed else []), *noticed]))
    refuse(found.findings, whole.prepare.accept)


def forecast_rows(found: Forecast) -> list[tuple[str, str]]:
    """A forecast as (what, value)."""
    from danlu.base.progress import duration

    plan, section = found.plan, found.section
    epochs = f"{plan.epochs} epoch{'s' if plan.epochs != 1 else ''}"
    step = f"{found.step_ms:.3g} ms" if found.step_ms < 1000 else duration(found.step_ms / 1000)
    return [
        ("task", f"{found.task}, from {found.columns} column{'s' if found.columns != 1 else ''}"),
        ("rows", " · ".join(f"{name} {rows:,}" for name, rows in found.sizes.items())),
        ("network", network_text(found.design)),
        ("parameters", f"{found.parameters:,}, {found.flops:,} operations a row"),
        ("training", f"at most {epochs} of {plan.steps_per_epoch:,} steps of {plan.step_rows} rows"),
        ("optimizer", f"{section.optimizer.name}, lr {section.optimizer.options['lr']:g}, {section.schedule.name}"),
        *([("augment", ", ".join(found.augment))] if found.augment else []),
        ("device", plan.device),
        ("engine", engine_text(found.engine)),
        ("memory", f"{found.memory_mb:,.1f} MB to train"),
        ("time", f"at most {duration(found.seconds)} to train ({step} a step)"),
        ("bundle", f"about {found.bundle_mb:,.2f} MB"),
    ]


def network_text(design: Mapping[str, Any]) -> str:
    """A network in words: `mlp (14 columns), cnn (photo), joined by concat`."""
    parts = design.get("member", design)
    told = [
        f"{one['name']} ({one['columns'][0] if len(one['columns']) == 1 else str(len(one['columns'])) + ' columns'})"
        for one in parts["encoders"]
    ]
    joined = [f"joined by {parts['fusion']['name']}"] if len(told) > 1 else []
    members = [f"{design['members']} of them"] if "members" in design else []
    return ", ".join([*told, *joined, *members])


def engine_text(engine: Engine) -> str:
    """An engine in words: `1 thread, bf16 products, dense gradients`."""
    parts = [f"{engine.threads} thread{'s' if engine.threads != 1 else ''}", f"{engine.precision} products"]
    parts += [f"{engine.backward} gradients", *(["compiled"] if engine.compiled else [])]
    return ", ".join(parts)
