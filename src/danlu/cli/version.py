"""`danlu version`."""

from __future__ import annotations


def version() -> None:
    """Print the versions of Danlu, Python and the libraries."""
    import platform

    from danlu.base.environment import versions

    found = versions()
    print(f"danlu {found.pop('danlu', 'unknown')}")
    print(f"python {platform.python_version()}")
    for name, number in found.items():
        print(f"{name} {number}")
