"""`danlu design`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def design(
    recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False
) -> None:
    """Step 2: show the network's layers and what they cost.

    Parameters, operations and memory. What is missing before it is done first.
    """
    result = run_until("design", recipe, overrides, runs, quiet)
    if quiet or result.network is None:
        return
    from danlu.base.files import read_json
    from danlu.cli.table import print_table
    from danlu.design import Description

    found = Description.from_json(read_json(result.run.folder / "design" / "design.json"))
    rows = [
        (layer.name, layer.type, " × ".join(map(str, layer.shape)), f"{layer.parameters:,}") for layer in found.layers
    ]
    print()
    print_table(("layer", "type", "output", "parameters"), rows, right=(3,))
    print(
        f"\n{found.parameters:,} parameters · {found.flops:,} operations a row · "
        f"{found.memory_mb:.1f} MB to train with batches of {found.batch_size}"
    )
