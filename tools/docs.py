"""Write the generated pages of the docs: docs/reference/options.md and docs/reference/cli.md.

python tools/docs.py           writes them
python tools/docs.py --check   only says which are stale; ends with 1 where one is
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from danlu import catalog
from danlu.base import registry

FOLDER = Path(__file__).parent.parent / "docs" / "reference"

SECTIONS = {
    "Data": "data",
    "Join": "data.join",
    "Prepare": "prepare",
    "Mask": "prepare.mask",
    "SplitRecipe": "prepare.split",
    "SplitBy": "prepare.split.by",
    "Fold": "prepare.split.fold",
    "InnerFold": "prepare.split.fold.inner",
    "Design": "design",
    "Train": "train",
    "Checkpoints": "train.checkpoints",
    "EarlyStop": "train.early_stop",
    "Engine": "train.engine",
    "Ensemble": "train.ensemble",
    "Statistics": "train.statistics",
    "Launch": "launch",
    "Evaluate": "evaluate",
    "Compress": "compress",
    "Deploy": "deploy",
}

FAMILIES = {
    "columns": "What one column is: an entry of `data.columns`, with `type` instead of `name`.",
    "fillers": "What stands for a missing value, told by the other columns of its row: an entry of `prepare.fill`.",
    "sources": "How rows are read: `data.reader`. Without it, the source's name and content tell.",
    "masks": "How personal data is masked: an entry of `prepare.mask.columns` or `prepare.mask.kinds`.",
    "encoders": "What turns a column into a vector: an entry of `design.encoders`.",
    "fusions": "What joins the encoded columns: `design.fusion`.",
    "heads": "From the joined vector to the outputs: `design.head`.",
    "losses": "What training makes small: `train.loss`.",
    "optimizers": "How weights follow gradients: `train.optimizer`.",
    "schedules": "How the step size changes over the run: `train.schedule`.",
    "augmentations": "What changes training rows: an entry of `train.augment`.",
    "averages": "Averages of the weights: `train.average`.",
    "shuffles": "In which order an epoch has its rows: `train.shuffle`.",
    "trackers": "Who is told of a training beside TensorBoard: `train.track`.",
    "metrics": "What is scored: `evaluate.metrics`, `train.early_stop.monitor`, `require`.",
    "variants": "Smaller and faster forms of the network: `compress.try`.",
    "exporters": "What the network is exported to: `deploy.formats`.",
    "tasks": "What is predicted. The target column's type decides which; a recipe does not name it.",
}


def options_page() -> str:
    """Every option of a recipe and of every component."""
    return "\n".join(["# Options", "", *_section_lines(), *_component_lines()]).rstrip() + "\n"


def _section_lines() -> Iterator[str]:
    from danlu.recipe.json_schema import recipe_schema

    schema = recipe_schema()
    sections = {"a recipe": schema, **{path: schema["$defs"][name] for name, path in SECTIONS.items()}}
    yield "Generated from the code by `python tools/docs.py`."
    yield ""
    yield "A component (an optimizer, an encoder, …) is written as its name, or as a mapping with its name and some of"
    yield "its options: `optimizer: {name: adamw, lr: 0.001}`. Where there is a default component, a mapping without a"
    yield "name sets options of that one: `optimizer: {lr: 0.001}`."
    yield ""
    yield "## The recipe"
    for name, section in sections.items():
        yield from ["", f"### {name}", "", section["description"], ""]
        rows = [(key, _kind(one), _default(one), one.get("description")) for key, one in section["properties"].items()]
        yield from _table(rows)
    yield ""


def _component_lines() -> Iterator[str]:
    for family, text in FAMILIES.items():
        yield from [f"## {family}", "", text, ""]
        for name in catalog.CATALOG[family]:
            component = catalog.find(family, name)
            yield from [f"### {name}", "", registry.summary(component), ""]
            options = [] if family in ("tasks", "metrics") else registry.describe(component)
            if options:
                yield from _table((o.name, _kind(o.schema), _shown(o.default), o.doc) for o in options)
                yield ""


def _table(rows: Any) -> Iterator[str]:
    yield "| option | is | default | meaning |"
    yield "|---|---|---|---|"
    for name, kind, default, text in rows:
        if not text:
            raise SystemExit(f"the option {name} has no description in its class's docstring")
        yield f"| `{name}` | {kind} | {default} | {_cell(text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _default(schema: dict[str, Any]) -> str:
    return _shown(schema["default"]) if "default" in schema else ""


def _shown(value: Any) -> str:
    if value is ...:
        return "(needed)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"`{_cell(text)}`"


_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def _kind(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "anyOf" in schema:
        # The mapping without a name, which stands for the default component's options, goes without saying.
        arms = [one for one in schema["anyOf"] if not (one.get("type") == "object" and "description" in one)]
        return ", or ".join(dict.fromkeys(map(_kind, arms)))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        shown = SECTIONS.get(name, name)
        return f"[{shown}](#{shown.replace('.', '')})"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{_cell(json.dumps(one))}`" for one in schema.get("enum", [schema.get("const")]))
    bounds = [f" {sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if abs(schema.get(key, 2**53)) < 2**53]
    if schema.get("type") == "array":
        inner = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {_kind(inner)}" if inner else "list"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_kind(schema['additionalProperties'])}"
    return _WORDS.get(schema.get("type", ""), "any") + "".join(bounds)


def cli_page() -> str:
    """The help of the program and of every command."""
    from danlu.cli.app import COMMANDS

    head = ["# The command line", "", "Generated from the code by `python tools/docs.py`.", ""]
    blocks = [*head, "```text", _help([]), "```"]
    for command in COMMANDS:
        blocks += ["", f"## danlu {command.__name__}", "", "```text", _help([command.__name__]), "```"]
    codes = [
        "", "## Exit codes", "",
        "| code | meaning |", "|---|---|",
        "| 0 | done |", "| 1 | failed |", "| 2 | the recipe, the data or the command line is wrong |",
        "| 3 | everything was done, but `require` is not met: nothing is released |",
        "| 70 | a fault of Danlu itself; the message names the file with the traceback |",
        "| 130 | stopped by Ctrl-C; the same command goes on where it was |",
        "| 141 | stopped, since the reader of its output left, as in `danlu run r.yaml | head -1` |",
        "| 143 | stopped by SIGTERM while training; the same command goes on where it was |",
        "", "`DANLU_TRACEBACK=1` shows the traceback of any error.",
    ]  # fmt: skip
    return "\n".join([*blocks, *codes]) + "\n"


def _help(arguments: list[str]) -> str:
    from typer.testing import CliRunner

    from danlu.cli.app import make_app

    # The width is stated: a terminal's would end up in the page.
    shown = CliRunner().invoke(
        make_app(), [*arguments, "--help"], prog_name="danlu", terminal_width=100, max_content_width=100
    )
    return shown.output.strip()


PAGES: dict[str, Callable[[], str]] = {"options.md": options_page, "cli.md": cli_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are stale."""
    stale = 0
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"docs/reference/{name} is stale: run python tools/docs.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
