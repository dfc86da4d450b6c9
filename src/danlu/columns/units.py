"""The unit that a column of numbers is in, by its name or by its texts."""

from __future__ import annotations

import re

import polars as pl

from danlu.columns.names import name_parts

_WORDS = {
    **dict.fromkeys(("kg", "kilogram", "kilograms", "kgs"), "kg"),
    **dict.fromkeys(("lb", "lbs", "pounds"), "lb"),
    **dict.fromkeys(("mg", "oz", "cm", "mm", "km", "ft", "mph", "ml", "ha", "ms", "ppm", "rpm", "kcal", "dpi"), ""),
    "kmh": "km/h", "kw": "kW", "kwh": "kWh", "mwh": "MWh", "hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz",
    "kb": "KB", "mb": "MB", "gb": "GB", "tb": "TB", "hpa": "hPa", "kpa": "kPa", "db": "dB",
    **dict.fromkeys(("inch", "inches"), "in"),
    **dict.fromkeys(("feet", "miles", "metres", "meters"), ""),
    **dict.fromkeys(("seconds", "minutes", "hours", "days", "weeks", "months", "years"), ""),
    **dict.fromkeys(("secs", "sec"), "s"),
    **dict.fromkeys(("mins",), "min"),
    **dict.fromkeys(("hrs",), "h"),
    **dict.fromkeys(("usd", "eur", "gbp", "cny", "jpy", "inr", "chf", "aud", "cad", "hkd"), "$upper"),
    **dict.fromkeys(("rmb",), "CNY"),
    **dict.fromkeys(("pct", "percent", "percentage"), "%"),
    **dict.fromkeys(("sqft",), "ft²"),
    **dict.fromkeys(("sqm",), "m²"),
    **dict.fromkeys(("celsius",), "°C"),
    **dict.fromkeys(("fahrenheit",), "°F"),
}  # fmt: skip
# One letter is a unit only behind what is measured in it: `weight_g`, but not `plan_g`.
_LETTERS = {
    "g": ("weight", "mass"),
    "m": ("height", "length", "width", "depth", "distance", "altitude", "elevation", "radius"),
    "s": ("time", "duration", "latency", "delay", "elapsed"),
    "h": ("time", "duration"),
    "l": ("volume", "capacity"),
    "c": ("temperature", "temp"),
    "f": ("temperature", "temp"),
}
_DEGREES = {"c": "°C", "f": "°F"}
_IN_CHINESE = (
    "元", "万元", "亿元", "美元", "欧元", "克", "毫克", "千克", "公斤", "斤", "吨", "米", "厘米", "毫米", "千米",
    "公里", "平方米", "立方米", "升", "毫升", "秒", "分钟", "小时", "天", "周", "月", "个月", "年", "岁", "摄氏度",
)  # fmt: skip
_IN_BRACKETS = re.compile(
    r"[(\[（【]\s*(?:in\s+)?([^()\[\]（）【】\d][^()\[\]（）【】]{0,9})\s*[)\]）】]\s*$", re.IGNORECASE
)
_SHORT_IN_BRACKETS = frozenset(("g", "m", "s", "h", "l", "t", "min", "in", "mi", "yd", "hp", "bar", "pa", "cal"))
_SIGNS = r"%‰$€£¥￥₩₹°℃℉²³㎡"
_AT_END = re.compile(rf"[{_SIGNS}]+[CFK]?$")
_BEHIND = r"[%‰°℃℉㎡€元]|[a-zA-Zµ°]{1,4}[²³]?(?:/[a-zA-Z]{1,3}[²³]?)?|\p{Han}{1,3}"
_VALUE = rf"^\s*([$€£¥￥₩₹])?\s*[+-]?[\d,.]*\d\s*({_BEHIND})?\s*$"
_MIN_SHARE = 0.9
_MAX_VALUES = 1_000


def unit_in_name(name: str) -> str:
    """The unit that a column's name ends with, as `kg` for `weight_kg`, `Weight (kg)` or `体重kg`; "" for none."""
    if found := _IN_BRACKETS.search(name):
        return _bracketed(found[1].strip())
    if found := _AT_END.search(name):
        return found[0]
    parts = name_parts(name)
    if len(parts) < 2:
        return ""
    last, before = parts[-1], parts[-2]
    whole = re.split(r"[\s_.-]+", name)[-1].lower()  # `hPa` is one word
    if _worded(whole):
        return _worded(whole)
    if last in _LETTERS:
        return _DEGREES.get(last, last) if before in _LETTERS[last] else ""
    return _worded(last)


def _bracketed(text: str) -> str:
    is_unit = re.search(rf"[{_SIGNS}/·]", text) or text in _IN_CHINESE or text.lower() in _SHORT_IN_BRACKETS
    return text if is_unit or text.lower() in _WORDS else ""


def _worded(word: str) -> str:
    unit = _WORDS.get(word)
    return "" if unit is None else word.upper() if unit == "$upper" else unit or word


def unit_in_texts(values: pl.Series) -> str:
    """The unit that nine tenths of the different texts at a column's begin carry before or behind a number, or "".

    Args:
        values: (N,) as read, nulls for missing ones.
    """
    if values.dtype != pl.String:
        return ""
    texts = values.drop_nulls().head(10 * _MAX_VALUES).unique(maintain_order=True).head(_MAX_VALUES)
    found = texts.str.extract_groups(_VALUE).struct
    units = pl.Series(found[0]).fill_null(pl.Series(found[1]))
    if not len(texts) or units.null_count() > (1 - _MIN_SHARE) * len(texts):
        return ""
    unit, count = units.value_counts(sort=True).row(0)
    return str(unit) if unit is not None and count >= _MIN_SHARE * len(texts) else ""
