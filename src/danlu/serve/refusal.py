"""What a client did wrong, as the HTTP answer it gets."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A request that is answered with a 4xx.

    Args:
        status: the HTTP status.
        message: what was given and what is allowed.
        where: the place ("column age, row 3"), or "".
        hint: the remedy, or "".
        headers: further headers of the answer.
    """

    def __init__(
        self, status: int, message: str, *, where: str = "", hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.where, self.hint = status, message, where, hint
        self.headers = dict(headers or {})

    def to_json(self) -> dict[str, dict[str, str]]:
        """The answer's body."""
        return {"error": {"message": self.message, "where": self.where, "hint": self.hint}}
