"""An error as the workers tell it to the process that started them: a file of JSON, written once."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from danlu.base.errors import DanluError, Fault, RecipeError
from danlu.base.files import read_json


class WorkerError(Exception):
    """A fault of Danlu in a worker; the worker's traceback is a note of it."""


def tell_error(path: Path, error: BaseException) -> None:
    """Write what ended a worker; the first one to do so is heard."""
    if isinstance(error, DanluError):
        fields = {name: value for name, value in vars(error).items() if name != "faults"}
        told: dict[str, Any] = {"kind": type(error).__name__, "fields": fields}
        if isinstance(error, RecipeError):
            told["faults"] = [asdict(one) for one in error.faults]
    else:
        text = "".join(traceback.format_exception(error))
        told = {"kind": "", "text": f"{type(error).__name__}: {error}", "traceback": text}
    whole = path.with_name(f"{path.name}.partial-{os.getpid()}")
    whole.write_text(json.dumps(told, default=str), encoding="utf-8")
    try:
        os.link(whole, path)  # unlike a rename, it fails where there is one already
    except FileExistsError:
        pass
    finally:
        whole.unlink()


def told_error(path: Path) -> Exception | None:
    """The error that a worker told of; None where none did."""
    if not path.is_file():
        return None
    told = read_json(path)
    if not told["kind"]:
        error = WorkerError(told["text"])
        error.add_note(told["traceback"])
        return error
    kind = next((one for one in _kinds(DanluError) if one.__name__ == told["kind"]), DanluError)
    if issubclass(kind, RecipeError):
        return RecipeError([Fault(**one) for one in told["faults"]])
    found = kind.__new__(kind)
    Exception.__init__(found, told["fields"]["message"])
    vars(found).update(told["fields"])
    return found


def _kinds(kind: type[DanluError]) -> Iterator[type[DanluError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
