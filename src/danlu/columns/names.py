"""What a column's name says of it: whether it is an id, a code or a year."""

from __future__ import annotations

import re

_KEYS = frozenset(("id", "ids", "uid", "pid", "oid", "sid", "cid", "gid", "uuid", "guid", "rowid"))
_ROW_NUMBERS = _KEYS | frozenset(("index", "idx", "no", "nr", "key", "row", "number"))
_POST = frozenset(("zip", "zipcode", "postcode", "postal"))
_PHONE = frozenset(("phone", "tel", "telephone", "mobile"))
_CODES = _POST | _PHONE | frozenset(("code", "codes", "type", "class", "pclass", "subclass", "kind"))
_CHINESE_KEYS = ("编号", "序号", "工号", "学号", "单号", "流水号", "身份证", "身份证号", "账号", "卡号", "主键", "标识")
_CHINESE_CODES = ("编码", "代码", "邮编", "电话", "手机", "号码", "手机号", "类型", "类别", "区号")


def name_parts(name: str) -> list[str]:
    """The words of a name: `PassengerId`, `passenger_id` and `passenger id` are passenger, id."""
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\da-zA-Z_]+", name)]


def is_key(name: str) -> bool:
    """Whether a name is an id's: it ends in id, or says so in Chinese."""
    parts = name_parts(name)
    return bool(parts and parts[-1] in _KEYS) or name.endswith(_CHINESE_KEYS)


def numbers_rows(name: str) -> bool:
    """Whether a name is one that numbers rows, where their values are all different."""
    parts = name_parts(name)
    return bool(parts and parts[-1] in _ROW_NUMBERS) or is_key(name)


def is_code(name: str) -> bool:
    """Whether a name says that its integers are codes, not quantities: `zip_code` does, `class_size` does not."""
    *before, last = name_parts(name) or [""]
    called = last in ("number", "no", "nr") and bool(before) and before[-1] in _PHONE | _POST
    return last in _CODES or called or name.endswith(_CHINESE_CODES)


def is_year(name: str, low: float, high: float) -> bool:
    """Whether a name and the range of values are those of years."""
    return 1500 <= low <= high <= 2200 and (bool({"year", "yr"} & set(name_parts(name))) or "年" in name)
