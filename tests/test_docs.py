"""The generated pages are up to date, and every option and command is described."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from danlu import catalog
from danlu.recipe.reading import recipe_from

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECIPES = ["README.md", "README.zh-CN.md", "docs/guide.md", "docs/guide.zh-CN.md"]


def recipes_in(page: str) -> list[dict[str, Any]]:
    """The recipes among a page's YAML blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [YAML(typ="safe").load(block) for block in blocks if re.search(r"^data:", block, re.MULTILINE)]


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


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    lost = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if ":" in name:
            continue
        if not target.exists() or (anchor and anchor not in headings(target)):
            lost.append(link)
    assert not lost


def headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", RECIPES)
def test_the_recipes_on_a_page_are_right(page: str) -> None:
    found = recipes_in(page)
    assert len(found) >= 2
    for given in found:
        recipe_from(given, need_sources=False)


def test_the_guides_recipes_are_the_same_in_both_languages() -> None:
    english, chinese = recipes_in("docs/guide.md"), recipes_in("docs/guide.zh-CN.md")
    assert english[0] == chinese[0]
    assert len(english) == len(chinese)


def test_the_guide_tells_of_every_finding() -> None:
    folders = [ROOT / "src/danlu" / name for name in ("prepare", "train")]
    source = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    keys = set(re.findall(r'key=f?"([a-z_]+)', source))
    inferred = (ROOT / "src/danlu/columns/inference.py").read_text(encoding="utf-8")
    told = inferred.partition("finding_key:")[2].partition("\n\n")[0]
    keys |= set(re.findall(r'"([a-z_]+)"', told))
    assert {"leak", "encoding", "rejected_rows", "ambiguous_dates", "overfitting", "dead_units"} <= keys
    for page in ("docs/guide.md", "docs/guide.zh-CN.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert not [key for key in sorted(keys) if f"`{key}`" not in text and f"`{key}:" not in text]
