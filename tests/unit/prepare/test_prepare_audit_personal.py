"""Personal data and shared ids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.columns.personal import RECOGNISERS
from danlu.prepare.audit import Audited
from danlu.prepare.audit.groups import find_shared_ids
from danlu.prepare.audit.personal import find_personal_data, not_looked_for
from danlu.prepare.sources.reading import read_source


def audited(**columns: object) -> Audited:
    unused = {name: pl.Series(name, values) for name, values in columns.items()}
    count = len(next(iter(unused.values())))
    codes = np.where(np.arange(count) % 5 == 0, 2, 0).astype(np.int8)
    return Audited({}, {}, pl.Series("label", [0] * count), codes, np.arange(count), {}, {}, unused)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (["ann@mail.example.com", "bob@example.org", "c.d@example.cn"], "e-mail addresses"),
        (["13812345678", "+86 159 1234 5678", "17700001111"], "mobile numbers"),
        ([13812345678, 15912345678, 17700001111], "mobile numbers"),
        (["(212) 555-0123", "+44 20 7946 0958", "+1 212 555 0199"], "phone numbers"),
        (["11010519491231002X", "440524188001010014", "11010519491231002X "], "resident ids"),
        (["4111111111111111", "5555555555554444", "6011111111111117"], "bank cards"),
        (["192.168.0.1", "10.0.0.7", "8.8.8.8"], "IP addresses"),
        (["卡号 4111111111111111 已绑定", "绑定了5555555555554444", "6011111111111117，谢谢"], "bank cards"),
    ],
)
def test_values_tell_what_they_are_and_are_not_shown(values: list[object], what: str) -> None:
    (found,) = find_personal_data(audited(x=values))
    assert "prepare.mask.columns.x" in found.remedy
    assert (found.key, found.severity, found.evidence["kind"]) == ("personal_data:x", "note", what)
    assert not [value for value in values if str(value) in repr(found)]


def test_versions_and_long_numbers_are_no_personal_data() -> None:
    numbers = [str(number) for number in np.random.default_rng(0).integers(10**15, 10**16, 300)]
    assert find_personal_data(audited(version=["1.2.3", "1.2.3.999", "2.0.0"], order=numbers[:3])) == []


def test_kinds_whose_library_is_not_installed_are_named() -> None:
    absent = [replace(one, package="no_such_package") for one in RECOGNISERS if one.kind in ("iban", "national_id")]
    (note,) = not_looked_for(absent)
    assert (note.key, note.severity) == ("not_looked_for", "note")
    assert note.message.startswith("IBANs, national ids were not looked for")
    assert note.remedy == "pip install 'danlu[privacy]'"
    assert not_looked_for() == []


def test_names_need_a_column_called_so_and_values_like_names() -> None:
    people, chinese = ["Ann Lee", "Bob Ray", "Cem Oz"], ["王小明", "李雷", "韩梅梅"]
    found = find_personal_data(audited(full_name=people, 姓名=chinese, title=people, 城市=chinese))
    assert [one.key for one in found] == ["personal_data:full_name", "personal_data:姓名"]
    assert find_personal_data(audited(name=["ford pinto", "vw rabbit", "audi 100ls"])) == []


def test_the_names_of_titanic_are_told(data: Path) -> None:
    frame = read_source("titanic/train.csv", base=data).frame
    found = find_personal_data(audited(Name=frame["Name"], Ticket=frame["Ticket"], Cabin=frame["Cabin"]))
    assert [one.key for one in found] == ["personal_data:Name"]


def test_ids_that_come_several_times_are_told_and_categories_are_not() -> None:
    random = np.random.default_rng(0)
    data = audited(user_id=random.integers(0, 100, 1000), shop_id=random.integers(0, 25, 1000), key=np.arange(1000))
    (found,) = find_shared_ids(data)
    assert found.key == "shared_ids:user_id"
    assert found.remedy.endswith("(prepare.split.by: {group: user_id})")
    assert found.evidence["shared"] == 200


def test_users_of_movielens_are_told(data: Path) -> None:
    frame = read_source("movielens_latest_small/ratings.csv.gz", base=data).frame
    found = find_shared_ids(audited(userId=frame["userId"], movieId=frame["movieId"], rating=frame["rating"]))
    assert [one.key for one in found] == ["shared_ids:userId", "shared_ids:movieId"]
