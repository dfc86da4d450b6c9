"""How an error is told: what, where, the fix; the traceback goes to a file."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from pathlib import Path

from danlu.base.errors import DanluError, MissingExtraError, RecipeError, RequirementError, StorageError

_EXTRAS = {
    **dict.fromkeys(("torch", "sklearn", "onnx", "onnxscript", "tensorboard", "jinja2"), "train"),
    **dict.fromkeys(("uvicorn", "httptools", "orjson"), "serve"),
    **dict.fromkeys(("pandas", "pyarrow", "ftfy"), "data"),
    **dict.fromkeys(("phonenumbers", "stdnum"), "privacy"),
    **dict.fromkeys(("mlflow", "sqlalchemy", "alembic"), "mlflow"),
    "PIL": "vision",
    "tokenizers": "text",
}


def tell(error: Exception) -> int:
    """Print an error on standard error.

    Returns:
        The exit code.
    """
    if os.environ.get("DANLU_TRACEBACK") == "1":
        traceback.print_exception(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _EXTRAS:
        package = (error.name or "").partition(".")[0]
        error = MissingExtraError(package, _EXTRAS[package])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = str(error.filename or "the output")
        error = StorageError(f"could not write {where}: {error.strerror}", hint="make room, then run it again")
    if isinstance(error, DanluError):
        _print(_lines(error))
        return error.exit_code
    _print(
        [
            ("bold red", f"{type(error).__name__}: {error}"),
            ("", "This is a fault of danlu, not of your data or recipe; what is finished is kept."),
            ("dim", f"The traceback is in {_logged(error)}"),
        ]
    )
    return 70


def _lines(error: DanluError) -> list[tuple[str, str]]:
    """(style, text) of each line."""
    name = type(error).__name__
    if isinstance(error, RecipeError):
        count = len(error.faults)
        blocks = [str(fault) for fault in error.faults]
        head = [("bold red", f"{name}: {count} faults")] if count > 1 else []
        blocks = blocks if count > 1 else [f"{name}: {blocks[0]}"]
    else:
        head, blocks = [], [f"{name}: {error}"]
    lines = list(head)
    for block in blocks:
        first, *rest = block.split("\n")
        lines.append(("bold" if head else "bold red", first))
        lines += [("", line) for line in rest]
    if isinstance(error, RequirementError):
        from danlu.cli.summary import requirement_lines

        lines += [("", line) for line in requirement_lines(error.rows)]
    return lines


def _print(lines: list[tuple[str, str]]) -> None:
    if not sys.stderr.isatty():
        print("\n".join(text for _, text in lines), file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    for style, text in lines:
        console.print(Text(text, style=style), soft_wrap=True)


def _logged(error: Exception) -> str:
    """Write the traceback to a file of the user's state folder; where that fails, to standard error."""
    from platformdirs import user_state_path

    from danlu.base.environment import versions

    text = "".join(traceback.format_exception(error))
    libraries = ", ".join(f"{name} {number}" for name, number in versions().items())
    try:
        folder = Path(user_state_path("danlu", appauthor=False)) / "crashes"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        path.write_text(f"danlu {' '.join(sys.argv[1:])}\n{libraries}\n\n{text}", encoding="utf-8")
    except OSError:
        print(text, file=sys.stderr)
        return "the lines above: no file could be written"
    return str(path)
