"""Recognisers of personal data: each kind planted in English and Chinese texts, and clean twins that look alike."""

from __future__ import annotations

import random

import pytest
from stdnum import iban, luhn
from stdnum.cn import ric, uscc

from danlu.base.kinds import PERSONAL_KINDS
from danlu.columns.checks import is_card, is_ip, is_resident_id
from danlu.columns.personal import MAY_HOLD, RECOGNISERS, find_spans, may_find, recognisers_of, shape

ENGLISH = ("Please note {} and reply.", "({})", "Customer wrote: {}, thanks", "{}")
CHINESE = ("请注意{}，谢谢。", "（{}）", "客户留言：{}；", "{}")

PLANTED = {
    "email": ["ann.lee@mail.example.com", "josé+x@exämple.org", "USER_1%a@b-c.cn"],
    "phone": [
        "13800138000", "138-0013-8000", "+86 159 1234 5678", "8617700001111", "010-62512345", "(0755) 26543210",
        "0571-87654321", "+44 20 7946 0958", "+33 1 42 68 53 00", "(212) 555-0123", "415-555-2671",
        "＋８６ １３８ ００１３ ８０００",
    ],
    "resident_id": ["11010519491231002X", "11010519491231002x", "440524188001010014"],
    "national_id": [
        "536-90-4399", "390.533.447-05", "RCCMNL83S18D969H", "54362315K", "X2482300W", "131052-308T",
        "2341 2341 2346",
    ],
    "card": ["4111111111111111", "4111 1111 1111 1111", "378282246310005", "6222020000000000000",
             "5555-5555-5555-4444"],
    "iban": ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR1420041010050500013M02606"],
    "credit_code": ["91110000600037341L", "91350100M000100Y43"],
    "ip": ["192.168.0.1", "8.8.8.8", "2001:db8:85a3::8a2e:370:7334"],
    "mac": ["00:1A:2B:3C:4D:5E", "d0-50-99-84-a2-a0"],
    "plate": ["沪A12345", "京A·D12345", "粤B 8K2X9"],
    "passport": ["护照号：E12345678", "passport no. 123456789", "Passport: AB1234567"],
    "account": ["微信号：wxid_abc123", "QQ：12345678", "WeChat ID: ann_lee99"],
    "name": ["姓名：张三丰", "收件人: 欧阳修远", "Dr. Mary Poppins", "Patient: John A. Smith"],
}  # fmt: skip

CLEAN = [
    "order 20240105123456789 of 2024-01-05 12:30:45", "订单号 4111111111111112 已发货", "价格13800138000.55元",
    "version 1.2.3.999 and 10.300.1.2", "ratio 12:30:45:60", "110105194912310021", "110105194913310028",
    "2020-12-31-1234567", "call 911 or 12345", "SSN 000-12-3456", "666-12-3456", "GB00WEST12345698765432",
    "DE89370400440532013001", "91110000600037341X", "a@b", "@handle and user@", "京东A股上涨12345", "第A12345号",
    "His name is given below.", "姓名栏请填写完整", "The doctor came. Mrs was misspelt", "护照有效期十年", "QQ群里说了",
    "std::vector::iterator", "key: value: 12: 34", "ISBN 978-3-16-148410-0", "0123-4567890",
    "+999 123 456 789",
    "123.456.789-00", "3,141,592,653,589", "#13800", "1.38e10", "2024年1月5日下午3点", "cafe:babe", "12345678A",
    "长度 12345678901234567890 毫米", "UUID 550e8400-e29b-41d4-a716-446655440000",
    "MD5 9e107d9d372bb6826bd81d3542a419d6",
]  # fmt: skip


def kinds_in(text: str, column: str = "note") -> set[str]:
    return {span.by.kind for span in find_spans(text, recognisers_of(column))}


def test_every_kind_has_a_recogniser_and_a_planted_form_or_column() -> None:
    assert {one.kind for one in RECOGNISERS} == set(PERSONAL_KINDS) == {*PLANTED, "address"}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("sentences", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_what_is_planted_is_found_whole(kind: str, sentences: tuple[str, ...]) -> None:
    for value in PLANTED[kind]:
        for sentence in sentences:
            text = sentence.format(value)
            spans = find_spans(text, recognisers_of("note"))
            assert [span.by.kind for span in spans] == [kind], (text, spans)
            found = text[spans[0].start : spans[0].stop]
            assert found == value or (kind in ("passport", "account", "name") and value.endswith(found)), (text, found)


def test_clean_twins_are_not_taken_for_personal_data() -> None:
    assert {text: kinds_in(text) for text in CLEAN if kinds_in(text)} == {}


def test_several_in_one_text_are_all_found_without_overlap() -> None:
    text = "张三,13800138000,13900139000;a@b.com a@c.com 11010519491231002X/4111111111111111"
    found = [text[span.start : span.stop] for span in find_spans(text, recognisers_of("note"))]
    assert found == ["13800138000", "13900139000", "a@b.com", "a@c.com", "11010519491231002X", "4111111111111111"]


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("name", "Ann Lee", "name"), ("first_name", "Ann", "name"), ("客户姓名", "王小明", "name"),
        ("passport", "E12345678", "passport"), ("微信", "ann_lee99", "account"), ("qq", "12345678", "account"),
        ("wechat_id", "wxid_123456", "account"), ("home address", "12 Main St", "address"),
        ("家庭地址", "上海市", "address"),
    ],
)  # fmt: skip
def test_a_columns_name_tells_what_its_values_do_not(column: str, value: str, kind: str) -> None:
    assert kinds_in(value, column) == {kind}
    assert kinds_in(value) == set()


def test_quick_look_passes_over_nothing_that_is_planted() -> None:
    import polars as pl

    texts = [value for values in PLANTED.values() for value in values]
    assert pl.Series(texts).str.contains(MAY_HOLD).all()


def test_a_resident_id_has_a_birthday_and_a_check_digit() -> None:
    assert is_resident_id("11010519491231002X")
    assert is_resident_id("11010519491231002x")
    assert not is_resident_id("110105194912310021")
    assert not is_resident_id("11010519491331002X")


def test_a_card_has_an_issuer_a_length_and_a_check_digit() -> None:
    assert is_card("4111 1111 1111 1111")
    assert is_card("378282246310005")
    assert not is_card("4111111111111112")
    assert not is_card("9111111111111111")
    assert not is_card("0000000000000000")


def test_the_quick_look_leaves_out_nothing_that_would_be_found() -> None:
    draw = random.Random(1)
    sentences = [form.format(value) for values in PLANTED.values() for value in values for form in ENGLISH + CHINESE]
    mixed = ["".join(draw.sample(sentences + CLEAN, 3)) for _ in range(2000)]
    texts = sentences + CLEAN + mixed
    recognisers = recognisers_of("full_name")
    few = may_find(texts, recognisers)
    for place, text in enumerate(texts):
        assert find_spans(text, few.get(place, [])) == find_spans(text, recognisers), text
    inside = recognisers_of("note")
    assert sum(map(len, may_find(texts, inside).values())) < len(texts) * len(inside) / 4


def test_own_checks_agree_with_the_librarys() -> None:
    draw = random.Random(0)
    for _ in range(3000):
        digits = "".join(draw.choices("0123456789", k=17))
        text = f"110105{draw.randint(1900, 2020)}{draw.randint(1, 13):02}{draw.randint(1, 31):02}{digits[:3]}"
        for check in "0123456789X":
            assert is_resident_id(text + check) == ric.is_valid(text + check), text + check
        card = "4" + digits[:15]
        assert is_card(card) == luhn.is_valid(card), card
    assert uscc.is_valid("91110000600037341L")
    assert iban.is_valid("DE89370400440532013000")
    assert is_ip("2001:db8:85a3::8a2e:370:7334")
    assert not is_ip("a::b")


def test_long_runs_take_no_long_time() -> None:
    import time

    start = time.monotonic()
    for text in ("a" * 100_000, "1-" * 50_000, "+1" + "(1" * 20_000, "A1 " * 30_000, ":" * 50_000, "1." * 50_000):
        find_spans(text, recognisers_of("name"))
    assert time.monotonic() - start < 5


def test_a_shape_has_no_letter_and_no_digit_of_its_own() -> None:
    assert shape("Ann.7@b-c.cn") == "xxx.9@x-x.xx"
    assert shape("王1") == "x9"
