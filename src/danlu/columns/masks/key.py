"""The secret that hashes and pseudonyms come from. It stays in the environment: no file, message or log holds it."""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field

from danlu.base.errors import DataError

MIN_LENGTH = 32
_MIN_DIFFERENT = 8
_NUM_CHECK = 6  # hexadecimal digits by which a mask knows its own: a text of that form passes by chance once in 2 ** 24
_TOKEN = re.compile(r"(.+)_([0-9a-f]{12,80})", re.DOTALL)
_MAKE = "export {}=$(python -c 'import secrets; print(secrets.token_hex(32))')"


@dataclass(frozen=True)
class Key:
    """A secret key.

    Attributes:
        secret: the key's bytes.
    """

    secret: bytes = field(repr=False)

    @property
    def check(self) -> str:
        """Tells keys apart, and nothing of the key: 48 bits of an HMAC under it."""
        return self.digest("key", "")[:12]

    def digest(self, purpose: str, text: str) -> str:
        """HMAC-SHA-256 of a text, 64 hexadecimal digits; another for each purpose."""
        return hmac.digest(
            self.secret, f"danlu mask {purpose}\0{text}".encode("utf-8", "surrogatepass"), "sha256"
        ).hex()

    def token(self, prefix: str, body: str) -> str:
        """`PREFIX_BODY` and six digits more, by which `is_token` knows it again."""
        return f"{prefix}_{body}{self.digest('token', f'{prefix}_{body}')[:_NUM_CHECK]}"

    def is_token(self, text: str) -> bool:
        """Whether a text is a token that this key made."""
        found = _TOKEN.fullmatch(text)
        if not found:
            return False
        body, check = found[2][:-_NUM_CHECK], found[2][-_NUM_CHECK:]
        return hmac.compare_digest(self.digest("token", f"{found[1]}_{body}")[:_NUM_CHECK], check)


def read_key(variable: str, check: str = "") -> Key:
    """The key that an environment variable holds.

    Args:
        variable: its name.
        check: the `check` that it must have, "" for any.

    Raises:
        DataError: there is none, it is too short or too plain, or it is another one.
    """
    text = os.environ.get(variable, "").strip()
    make = _MAKE.format(variable)
    if not text:
        raise DataError(
            f"there is no key to mask with: {variable} is not set", where=variable, hint=f"{make} and keep it safe"
        )
    if len(text) < MIN_LENGTH or len(set(text)) < _MIN_DIFFERENT:
        given = f"has {len(text)} characters" if len(text) < MIN_LENGTH else "repeats a few characters"
        message = f"the key in {variable} {given}; it takes {MIN_LENGTH} or more that cannot be guessed"
        raise DataError(message, where=variable, hint=make)
    key = Key(text.encode("utf-8", "surrogatepass"))
    if check and key.check != check:
        raise DataError(
            f"{variable} holds another key than the one that this was prepared with",
            where=variable,
            hint="set it to the key of the training run; values masked with another would all be new ones",
        )
    return key
