"""The command line: `danlu run recipe.yaml`. One file for each command; each imports what it needs when called."""

from danlu.cli.app import main

__all__ = ["main"]
