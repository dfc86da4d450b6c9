"""Names that are nobody's in particular, put together from common parts."""

from __future__ import annotations

_FAMILY = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
    "苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石"
)
_GIVEN = (
    "安博成达德恩帆方刚光国海涵浩和恒宏华佳嘉建健江洁静俊凯康兰乐丽林琳玲龙梅美明宁鹏平琪强晴秋"
    "然仁荣瑞珊思涛婷伟文翔晓欣新秀旭雪雅阳怡艺英宇雨玉远悦云泽珍志子"
)
_FIRST = (
    "Alan Alice Amy Anna Arthur Beth Brian Carla Carol Claire Clara Daniel David Diana Edith Edward Ella Emma Eric Eva "
    "Felix Frank George Grace Hannah Harry Helen Henry Hugo Ian Irene Ivy Jack James Jane Joan John Julia Karen Kate "
    "Kevin Laura Leo Lily Linda Louis Lucy Maria Mark Martin Mary Max Nancy Nina Nora Oliver Oscar Paul Peter Philip "
    "Rachel Ralph Rose Ruth Sam Sara Simon Sofia Stella Susan Thomas Tina Tom Vera Victor Walter Wendy"
)
_LAST = (
    "Adams Allen Baker Barnes Bell Bennett Brooks Brown Butler Carter Clark Cole Collins Cook Cooper Cox Davis Dixon "
    "Edwards Ellis Evans Fisher Foster Fox Gibson Gray Green Hall Harris Hayes Hill Howard Hughes Hunt Jackson Jones "
    "Kelly King Knight Lane Lewis Long Marsh Martin Mason Miller Mills Moore Morgan Morris Murphy Nelson Owen Palmer "
    "Parker Perry Price Reed Rice Roberts Rogers Ross Russell Scott Shaw Simpson Smith Spencer Stone Taylor Turner "
    "Walker Wallace Ward Watson Webb West White Wilson Wood Wright Young"
)
_FIRST_NAMES, _LAST_NAMES = _FIRST.split(), _LAST.split()


def invented_name(digest: str, is_chinese: bool) -> str:
    """A name that hexadecimal digits choose: 陈晓东, or Mary Carter."""
    number = int(digest, 16)
    if not is_chinese:
        number, first = divmod(number, len(_FIRST_NAMES))
        return f"{_FIRST_NAMES[first]} {_LAST_NAMES[number % len(_LAST_NAMES)]}"
    number, family = divmod(number, len(_FAMILY))
    number, first = divmod(number, len(_GIVEN))
    number, second = divmod(number, len(_GIVEN))
    return _FAMILY[family] + _GIVEN[first] + (_GIVEN[second] if number % 4 else "")
