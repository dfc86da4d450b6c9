"""Whether digits that look like a number of some kind are one: birthdays, check digits, ranges that are in use.

Chinese numbers and bank cards are checked here; what other countries issue, by two libraries that keep their registers
up to date (`danlu[privacy]`): python-stdnum and phonenumbers.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from collections.abc import Callable
from datetime import date

from danlu.base.devices import need

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD = re.compile(
    r"4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|35\d{14}|6(?:011|5\d\d)\d{12}|62\d{14,17}"
)


def is_resident_id(text: str) -> bool:
    """Whether 18 characters are a Chinese resident id: a birthday and the check digit of GB 11643 are right."""
    if not re.fullmatch(r"[0-9]{17}[0-9Xx]", text):
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text, strict=False)) % 11
    return born.year >= 1880 and "10X98765432"[rest] == text[-1].upper()


def is_card(text: str) -> bool:
    """Whether digits are a bank card's: an issuer's first digits and length, and Luhn's check digit."""
    digits = re.sub(r"[ -]", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def is_ip(text: str) -> bool:
    """Whether a text is an IPv4 address, or an IPv6 one with four groups at least."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return ":" not in text or len([part for part in text.split(":") if part]) >= 4


def is_phone(text: str) -> bool:
    """Whether a number with its country's code is one that the country issues. Needs `danlu[privacy]`."""
    return _is_issued(text, None)


def is_american_phone(text: str) -> bool:
    """Whether ten digits are a number of the United States, Canada or the Caribbean. Needs `danlu[privacy]`."""
    return _is_issued(text, "US")


def _is_issued(text: str, region: str | None) -> bool:
    phonenumbers = need("phonenumbers", "privacy")
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(text, region)))
    except phonenumbers.NumberParseException:
        return False


def standard(module: str) -> Callable[[str], bool]:
    """The check of a module of python-stdnum, such as `iban` or `us.ssn`. It needs `danlu[privacy]`."""

    def is_valid(text: str) -> bool:
        need("stdnum", "privacy")
        return bool(importlib.import_module(f"stdnum.{module}").is_valid(text))

    return is_valid
