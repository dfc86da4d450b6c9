"""The kinds of personal data, by the names that recipes and findings use."""

from __future__ import annotations

from typing import Literal, get_args

PersonalKind = Literal[
    "email",
    "phone",
    "resident_id",
    "national_id",
    "passport",
    "card",
    "iban",
    "credit_code",
    "ip",
    "mac",
    "plate",
    "account",
    "name",
    "address",
]

PERSONAL_KINDS: tuple[str, ...] = get_args(PersonalKind)
