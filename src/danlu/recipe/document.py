"""YAML text as plain values, with the place of every key: what cannot be read becomes faults, never a traceback.

Only JSON's kinds of values come out (mappings with text keys, lists, texts, numbers, true, false, null). Anchors and
merge keys work; tags do not, so that a document can name nothing to be run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from danlu.base.errors import Fault, RecipeError

Path = tuple[str | int, ...]

# A recipe with options for some thousand columns is below this; ruamel reads about 100 kB in a second.
MAX_BYTES = 1_000_000
# An alias bomb of some hundred bytes expands past any memory; a recipe has far fewer values than this.
MAX_VALUES = 100_000

_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
_CONTAINERS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_TEXT = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value")}


@dataclass(frozen=True)
class Place:
    """Where something is written: file (or "override train.epochs=5"), line and column from 1, or 0."""

    file: str = ""
    line: int = 0
    column: int = 0


@dataclass
class Document:
    """What a text says.

    Attributes:
        value: the plain value.
        places: path → where its key (in a list: its value) is written.
        faults: what is wrong with the text itself: keys given twice, tags.
    """

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_document(text: str, file: str) -> Document:
    """Read one YAML document.

    Args:
        text: the document.
        file: its name, for the places.

    Raises:
        RecipeError: the text is not YAML, is too large, or expands past `MAX_VALUES`.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _refusal(f"is larger than {MAX_BYTES // 1_000_000} MB, which no recipe is", Place(file), "is this data?")
    reader = _Reader(file, text)
    try:
        root = reader.compose()
        reader.document.value = None if root is None else reader.value(root, ())
    except RecursionError:
        raise _refusal("is nested too deeply", Place(file, 1, 1), "") from None
    return reader.document


def _refusal(message: str, place: Place, hint: str) -> RecipeError:
    return RecipeError(
        [
            Fault(
                path="",
                message=f"the recipe {message}",
                file=place.file,
                line=place.line,
                column=place.column,
                hint=hint,
            )
        ]
    )


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, file: str, text: str) -> None:
        from ruamel.yaml import YAML

        self.yaml: Any = YAML(typ="safe", pure=True)
        self.file, self.text = file, text
        self.document = Document()
        self.count = 0
        self.open: set[int] = set()

    def compose(self) -> Any:
        """The root node, or None in an empty document."""
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            return self.yaml.compose(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            raise _refusal(*self._explain(error, line, column)) from None
        except YAMLError as error:
            position = getattr(error, "position", 0)
            line = self.text.count("\n", 0, position) + 1
            message = "is not text: it has a character that YAML does not allow"
            raise _refusal(message, Place(self.file, line), "remove it; is this a text file?") from None

    def _explain(self, error: Any, line: int, column: int) -> tuple[str, Place, str]:
        problem = " ".join(part for part in (error.context, error.problem) if part)
        lines = self.text.splitlines()
        shown = lines[line] if line < len(lines) else ""
        place = Place(self.file, line + 1, column + 1)
        if "\t" in shown[: len(shown) - len(shown.lstrip())]:
            return "cannot be read: a tab indents this line", place, "indent with blanks"
        if "mapping values are not allowed" in problem:
            return (
                "cannot be read: a colon stands where none may be",
                place,
                "indent as the lines above, or quote the text",
            )
        if "could not find expected ':'" in problem:
            above = next((n for n in range(line - 1, -1, -1) if n < len(lines) and lines[n].strip()), line)
            return (
                "cannot be read: a line has no `key: value`",
                Place(self.file, above + 1, 1),
                "add the colon and a blank",
            )
        if "another document" in problem:
            return "has a second document", place, "remove the line --- and what follows it"
        if "undefined alias" in problem:
            return (
                f"cannot be read: {error.problem}",
                place,
                "define it with & above, or quote a text that begins with *",
            )
        if "cannot start any token" in problem:
            return f"cannot be read: {error.problem}", place, "quote the text"
        return f"cannot be read: {problem}", place, ""

    def place(self, node: Any) -> Place:
        """Where a node begins."""
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def fault(self, path: Path, message: str, node: Any, hint: str = "") -> None:
        """Note what is wrong and go on."""
        place = self.place(node)
        self.document.faults.append(
            Fault(path=dotted(path), message=message, file=place.file, line=place.line, column=place.column, hint=hint)
        )

    def value(self, node: Any, path: Path) -> Any:
        """A node as a plain value; its places are noted on the way."""
        from ruamel.yaml.nodes import MappingNode, ScalarNode

        self.count += 1
        if self.count > MAX_VALUES:
            raise _refusal(
                f"expands to more than {MAX_VALUES:,} values", self.place(node), "write what the aliases (*) stand for"
            )
        self.document.places.setdefault(path, self.place(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.open:
            raise _refusal("contains itself through an alias", self.place(node), "write it out")
        if str(node.tag) not in _CONTAINERS:
            self.fault(path, f"has the tag {node.tag}; a recipe has none", node, "remove the tag")
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: Any, path: Path) -> Any:
        tag = str(node.tag)
        if tag in _TEXT:
            return node.value
        if tag not in _PLAIN:
            self.fault(path, f"has the tag {tag}; a recipe has none", node, "remove the tag")
            return node.value
        try:
            return self.yaml.constructor.construct_object(node, deep=True)
        except (ValueError, OverflowError):
            self.fault(path, f"is not a number that can be read: {node.value[:40]}", node)
            return None

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, key, item in self._pairs(node, path):
            here = (*path, name)
            if name in found:
                first = self.document.places[here]
                self.fault(here, f"is given twice; the first is in line {first.line}", key, "keep one of them")
                continue
            self.document.places[here] = self.place(key)
            found[name] = self.value(item, here)
        for source in self._merged(node):
            for name, item in self.value(source, (*path, "<<")).items():
                if name not in found:
                    found[name] = item
                    self.document.places.setdefault((*path, name), self.place(source))
        return found

    def _pairs(self, node: Any, path: Path) -> Iterator[tuple[str, Any, Any]]:
        from ruamel.yaml.nodes import ScalarNode

        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                self.fault(path, "has a key that is not a text", key, "a key is one word, or a text in quotes")
            elif not str(key.tag).endswith(":merge"):
                yield key.value, key, item

    def _merged(self, node: Any) -> Iterator[Any]:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        for key, item in node.value:
            if str(key.tag).endswith(":merge"):
                for source in item.value if isinstance(item, SequenceNode) else [item]:
                    if isinstance(source, MappingNode):
                        yield source
                    else:
                        self.fault((), "merges (<<) what is not a mapping", key, "merge an alias of a mapping")


def dotted(path: Path) -> str:
    """A path as people write it: `train.optimizer.lr`; names with dots in quotes."""
    return ".".join(f'"{part}"' if isinstance(part, str) and ("." in part or not part) else str(part) for part in path)
