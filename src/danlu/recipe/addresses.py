"""Addresses of data that lies elsewhere (`s3://…`, `https://…`): what is one, and how it is shown without secrets."""

from __future__ import annotations

import re
from typing import TypeGuard

DATABASES = ("sqlite", "postgresql", "postgres", "mysql")
LEFT_OUT = "…"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:::[a-z0-9]+)?://")
# A password may hold anything, so in a database's address all up to the last @ is taken for one.
_DATABASE_PASSWORD = re.compile(r"://[^:/@\s]*:.*@")
_QUERY_PASSWORD = re.compile(r"(?i)://.*password=")
# `://user:password@host`; `://host:8080/a@b.csv` is none.
_PASSWORD = re.compile(r"://[^/?#@:\s]*:(?!\d{1,5}(?:[/?#]|$))[^@\s]*@|://[^/?#@:\s]*:[^/?#\s]*@")
_WEB_USER = re.compile(r"(?i)(\bhttps?://)[^/?#\s]*@")  # a token often stands there alone

_SECRET_NAMES = re.compile(
    r"(?i)x-(amz|goog|oss|cos|ms)-.*|.*(signature|token|secret|passw|credential|auth|api_?key|accesskey).*"
    r"|sig|key|code|policy|session|se|sp|sr|sv|st|ske|skt|sks|skv|skoid|sktid|spr|expires"
)
_LONG_CODE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_%.~-]{24,}")
_PARAMETER = re.compile(r"([?&;])([^=&?#\s]+)=([^&#\s]*)")


def scheme_of(text: str) -> str:
    """`s3` of `s3://bucket/rows.csv`, in lower case; "" where there is none."""
    match = _SCHEME.match(text)
    return match.group(1).lower() if match else ""


def is_remote(source: object) -> TypeGuard[str]:
    """Whether a source is an address of a file or folder elsewhere, not a path, a sample or a database."""
    scheme = scheme_of(source) if isinstance(source, str) else ""
    return bool(scheme) and scheme not in DATABASES


def holds_password(text: str) -> bool:
    """Whether an address names a password, or (on the web) any user: that may be a token."""
    if _QUERY_PASSWORD.search(text):
        return True
    if not is_remote(text):
        return bool(_DATABASE_PASSWORD.search(text))
    return bool(_PASSWORD.search(text) or _WEB_USER.search(text))


def without_secrets(source: str) -> str:
    """An address as it may be written anywhere: no password, and `…` for what may be a signature or a token."""
    if not is_remote(source):
        return source
    text = _WEB_USER.sub(r"\1", source)
    text = re.sub(r"(://[^/?#@:\s]*):(?!\d{1,5}(?:[/?#]|$))[^@\s]*@", r"\1@", text)
    text = re.sub(r"(://[^/?#@:\s]*):[^/?#\s]*@", r"\1@", text)
    return _PARAMETER.sub(_shown_parameter, text)


def _shown_parameter(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    secret = _SECRET_NAMES.fullmatch(name) or _LONG_CODE.fullmatch(value)
    return f"{mark}{name}={LEFT_OUT if secret else value}"


def lacks_secrets(source: str) -> bool:
    """Whether an address was written without its secrets, so that nothing can be fetched by it."""
    return any(match.group(3) == LEFT_OUT for match in _PARAMETER.finditer(source))
