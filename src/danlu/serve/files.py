"""Files in a request: pictures and sounds in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from danlu.serve.refusal import Refusal


def file_bytes(name: str, row: int, value: Any, what: str, other: str) -> bytes | None:
    """A file's bytes: of `{"b64": …}` or a `data:` address; None where there is none.

    Args:
        name: the column's.
        row: the row's number in the request.
        value: as it was sent.
        what: "picture" or "sound".
        other: what may be sent in its stead.

    Raises:
        Refusal: 422, which names column and row.
    """
    if value is None:
        return None
    text = value
    if isinstance(value, dict):
        text = value.get("b64") if set(value) == {"b64"} else None
    elif isinstance(value, str):
        head, _, tail = value.partition(",")
        text = tail if head.startswith("data:") and head.endswith(";base64") else None
    if not isinstance(text, str):
        hint = f'send {{"b64": "…"}}: the {what}\'s file in base64'
        raise wrong(name, row, f"a {what} must be its file in base64, or {other}", hint)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        hint = "use the standard alphabet with padding"
        raise wrong(name, row, f"the {what} is not base64: {error}", hint) from error


def numbers_in(value: Any, levels: int) -> bool:
    """Whether it is a number inside so many lists, or nothing."""
    if value is None:
        return True
    if levels:
        return isinstance(value, list) and all(numbers_in(item, levels - 1) for item in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def wrong(name: str, row: int, message: str, hint: str) -> Refusal:
    """The refusal of one value."""
    return Refusal(422, message, where=f"column {name}, row {row}", hint=hint)
