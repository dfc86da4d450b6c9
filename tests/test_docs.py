"""The generated pages are up to date, and every option and command is described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from danlu import catalog

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def test_generated_pages_are_up_to_date() -> None:
    """In a process of its own: other tests put components of theirs into the catalogue."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_component_and_command_is_on_a_page() -> None:
    from danlu.cli.app import COMMANDS

    options = (REFERENCE / "options.md").read_text(encoding="utf-8")
    for family in catalog.CATALOG:
        section = options.partition(f"\n## {family}\n")[2].partition("\n## ")[0]
        assert section, f"the family {family} is not described"
        assert section.count("\n### ") >= 1
    commands = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"\n## danlu {command.__name__}\n" in commands
