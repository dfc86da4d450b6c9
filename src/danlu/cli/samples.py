"""`danlu samples`."""

from __future__ import annotations


def samples() -> None:
    """List the small data sets to try Danlu with.

    danlu run sample:NAME runs one.
    """
    from danlu.cli.table import print_table
    from danlu.prepare.sources.sample import samples as listed

    rows = [
        (f"sample:{one.name}", str(one.rows), str(one.columns), one.target, one.task, one.description)
        for one in listed()
    ]
    print_table(("sample", "rows", "columns", "target", "task", "what it is"), rows, right=(1, 2))
