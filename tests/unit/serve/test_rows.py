"""From a request's bytes to raw rows, whatever is sent."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danlu.base.errors import DataError
from danlu.bundle import Bundle, load
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.serve.app import answer_body
from danlu.serve.refusal import Refusal
from danlu.serve.rows import MAX_ROWS, parse_body, request_rows, rows_frame

ROW: dict[str, Any] = {"age": 31, "height": "1.7", "city": "北京", "member": True}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Path]) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("rows") / "bundle"))


@pytest.fixture(scope="module")
def schema(bundle: Bundle) -> Schema:
    return bundle.schema


def refused(bundle: Bundle, body: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        answer_body(bundle, body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def answered(bundle: Bundle, body: Any) -> list[dict[str, Any]]:
    reply = json.loads(answer_body(bundle, body if isinstance(body, bytes) else json.dumps(body).encode()))
    assert (reply["model"], reply["version"]) == ("toy", bundle.version)
    found: list[dict[str, Any]] = reply["predictions"]
    return found


def test_three_forms_of_a_request_answer_alike(bundle: Bundle) -> None:
    one = answered(bundle, ROW)
    assert one == answered(bundle, [ROW]) == answered(bundle, {"rows": [ROW]})
    assert one[0]["prediction"] in ("high", "low")
    assert list(one[0]["probabilities"]) == ["high", "low"]
    assert sum(one[0]["probabilities"].values()) == pytest.approx(1)


def test_a_number_is_answered_without_probabilities(tmp_path: Path, make_bundle: Callable[..., Path]) -> None:
    (one,) = answered(load(make_bundle(tmp_path / "bundle", "price")), ROW)
    assert list(one) == ["prediction"]
    assert isinstance(one["prediction"], float)


@pytest.mark.parametrize("target", ["price", "grade"])
def test_a_row_without_a_finite_answer_is_refused(
    tmp_path: Path,
    make_bundle: Callable[..., Path],
    make_schema: Callable[..., Schema],
    make_graph: Callable[..., Path],
    target: str,
) -> None:
    fitted = make_schema(target)
    steep = make_graph(fitted, tmp_path / "steep.onnx", factor=1e30)
    bundle = load(make_bundle(tmp_path / "bundle", target, model=steep))
    fault = refused(bundle, [ROW, {**ROW, "age": 1e308}])
    assert (fault.status, fault.where) == (422, "row 1")
    assert "its numbers are too large for the network" in fault.message


def test_answers_are_those_of_predict(bundle: Bundle, frame: pl.DataFrame) -> None:
    served = [one["prediction"] for one in answered(bundle, frame.to_dicts())]
    assert served == bundle.predict(frame)["prediction"].to_list()


def test_missing_unseen_and_nan_are_answered(bundle: Bundle) -> None:
    rows = [
        {**ROW, "age": None},
        {**ROW, "city": "Atlantis"},
        {**ROW, "member": None, "city": None},
        {**ROW, "height": ""},
    ]
    assert len(answered(bundle, rows)) == 4
    assert answered(bundle, b'{"age": NaN, "height": 1.7, "city": "x", "member": false}') == answered(
        bundle, {"age": None, "height": 1.7, "city": "x", "member": False}
    )
    assert answered(bundle, {"rows": []}) == answered(bundle, []) == []


def test_a_row_answers_the_same_among_any_others(bundle: Bundle) -> None:
    others = [{**ROW, "age": 31.5, "city": 7, "member": "yes"}, {**ROW, "age": "12", "city": None, "member": 0}]
    assert answered(bundle, [ROW, *others])[0]["probabilities"] == pytest.approx(
        answered(bundle, ROW)[0]["probabilities"]
    )


def test_faults_name_column_and_row(bundle: Bundle) -> None:
    missing = {name: value for name, value in ROW.items() if name != "height"}
    fault = refused(bundle, [ROW, {**missing, "heigth": 1}])
    assert (fault.status, fault.where, fault.hint) == (422, "column height, row 1", "rename heigth to height")
    assert fault.message == "the column height is not in row 1"
    fault = refused(bundle, [ROW, {**ROW, "age": "old"}])
    assert (fault.status, fault.where) == (422, "column age, row 1")
    assert "'old' is not a number" in fault.message
    fault = refused(bundle, {**ROW, "city": ["a"]})
    assert (fault.status, fault.message) == (422, "a list is not a value of a category column")
    fault = refused(bundle, b'{"age": Infinity, "height": 1, "city": "", "member": true}')
    assert (fault.status, fault.where) == (422, "column age, row 0")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is not JSON"),
        (b"{", 400, "the body is not JSON"),
        (b"\xff", 400, "the body is not JSON"),
        (b"[" * 100_000, 400, "the body is not JSON"),
        (b"[" * 100_000 + b"NaN", 400, "the body is not JSON"),
        (b'["\\ud800"]', 400, "the body is not JSON"),
        (b'[{"age": NaN, "city": "\\ud800"}]', 400, "the body is not JSON"),
        (b"[NaN" + b"1" * 10_000, 400, "the body is not JSON"),
        (b"3", 400, "rows must be a list of objects, not a number"),
        (b"null", 400, "rows must be a list of objects, not null"),
        (b'{"rows": {}}', 400, "rows must be a list of objects, not an object"),
        (b'{"rows": [], "id": 3}', 400, "the key id is not known beside rows"),
        (b"[3]", 422, "row 0 must be an object, not a number"),
        (b"[{}, null]", 422, "row 1 must be an object, not null"),
        (b"{}", 422, "the column age is not in row 0"),
        (b"[" + b",".join([b"{}"] * (MAX_ROWS + 1)) + b"]", 413, "10001 rows; at most 10000"),
    ],
)
def test_other_forms_are_refused(bundle: Bundle, body: bytes, status: int, message: str) -> None:
    fault = refused(bundle, body)
    assert fault.status == status
    assert fault.message.startswith(message)


def test_a_column_may_be_called_rows(schema: Schema) -> None:
    from danlu.columns.column import FittedColumn

    first = schema.inputs[0]
    odd = Schema((FittedColumn("rows", first.type, first.options, first.state),), schema.target)
    assert request_rows({"rows": 3}, odd) == [{"rows": 3}]
    assert request_rows({"rows": [{"rows": 3}]}, odd) == [{"rows": 3}]


def test_a_set_comes_as_a_list_or_a_text(schema: Schema) -> None:
    column = fit_column("topics", "set", {}, pl.Series(["a|b", "c"]))
    given = [{"topics": one} for one in (["b", "a"], "b|a", [], None, ["new", None])]
    found = Schema((column,), schema.target).encode(rows_frame(given, Schema((column,), schema.target)))
    assert found["scalars"].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(Refusal, match="is not a list"):
        rows_frame([{"topics": 1.5}], Schema((column,), schema.target))


def test_huge_numbers_stay_exact(schema: Schema) -> None:
    frame = rows_frame([{**ROW, "city": 2**53 + 1}, {**ROW, "city": 0.5}], schema)
    assert frame["city"].to_list() == ["9007199254740993", "0.5"]
    assert rows_frame([{**ROW, "city": 2**63}], schema)["city"].to_list() == [str(2**63)]


def attempt(bundle: Bundle, body: bytes) -> int | str:
    """How many answers came, or the status of the refusal."""
    try:
        return len(answered(bundle, body))
    except Refusal as refusal:
        return str(refusal.status)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NESTED = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(ROW, VALUES)), max_size=4))
def test_whatever_a_row_holds_it_is_answered_or_refused(bundle: Bundle, rows: list[dict[str, Any]]) -> None:
    body = json.dumps(rows).encode()
    found = attempt(bundle, body)
    assert found in (len(rows), "400", "422")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=NESTED)
def test_whatever_is_sent_it_is_answered_or_refused(bundle: Bundle, value: Any) -> None:
    assert attempt(bundle, json.dumps(value).encode()) in (0, "400", "422")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=64))
def test_whatever_bytes_are_sent_they_are_refused(bundle: Bundle, body: bytes) -> None:
    with pytest.raises(Refusal):
        answer_body(bundle, body)


def picture(size: int = 4) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (size, size), 130).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures() -> Schema:
    from danlu.columns.column import fit_column

    values = pl.Series("photo", [picture(), picture()], dtype=pl.Binary)
    kinds = pl.Series("kind", ["a", "b"])
    return Schema(
        (fit_column("photo", "image", {}, values),), fit_column("kind", "category", {"missing": "drop"}, kinds)
    )


def test_pictures_come_as_base64_or_pixels(pictures: Schema) -> None:
    text = base64.b64encode(picture()).decode()
    given = [{"b64": text}, f"data:image/png;base64,{text}", None]
    pixels = pictures.encode(rows_frame([{"photo": value} for value in given], pictures))["image_0"]
    assert pixels.shape == (3, 4, 4, 1)
    assert (pixels == 130).all()
    arrays = pictures.encode(rows_frame([{"photo": [[130] * 4] * 4}], pictures))["image_0"]
    assert (arrays == 130).all()


@pytest.mark.parametrize("value", ["/etc/passwd", "x.png", {"b64": 3}, {"path": "x"}, {"b64": "AA==", "x": 1}, 3, True])
def test_nothing_in_a_request_is_a_path(pictures: Schema, value: Any) -> None:
    with pytest.raises(Refusal, match="a picture must be its file in base64") as caught:
        rows_frame([{"photo": {"b64": base64.b64encode(picture()).decode()}}, {"photo": value}], pictures)
    assert caught.value.where == "column photo, row 1"


@pytest.mark.parametrize("value", [[1, 2], [[["a"]]], [[1], ["b"]], [[[[1]]]], [[1, None], [2, [3]]], []])
def test_pixels_of_nonsense_are_refused(pictures: Schema, value: Any) -> None:
    with pytest.raises(Refusal, match="the picture is not rows of pixels") as caught:
        rows_frame([{"photo": value}], pictures)
    assert (caught.value.status, caught.value.where) == (422, "column photo, row 0")


def png(width: int, height: int) -> bytes:
    """A PNG of so many black pixels, by hand: small as a file, large when unpacked."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packed = zlib.compress(bytes(-(-width // 8) + 1) * height, 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_pictures_that_unpack_to_too_much_are_refused_unopened(pictures: Schema) -> None:
    whole = {"photo": {"b64": base64.b64encode(png(5_000, 5_000)).decode()}}
    assert rows_frame([whole], pictures).height == 1
    with pytest.raises(Refusal, match="have 75,000,000 pixels; at most 50,000,000 are answered at once") as caught:
        rows_frame([whole] * 100, pictures)
    assert (caught.value.status, caught.value.where) == (413, "column photo, row 2")
    for size in ((30_000, 30_000), (2**31 - 1, 2**31 - 1)):
        bomb = png(8, 8).replace(b"\0\0\0\x08\0\0\0\x08", b"".join(side.to_bytes(4, "big") for side in size))
        with pytest.raises(Refusal, match="the picture cannot be read"):
            rows_frame([{"photo": {"b64": base64.b64encode(bomb).decode()}}], pictures)


def damaged(seed: int) -> bytes:
    """A little picture of some format, some of its bytes changed, perhaps cut."""
    import io
    import random

    from PIL import Image

    chance = random.Random(seed)
    file = io.BytesIO()
    forms = (
        "L PNG,RGB JPEG,P GIF,RGBA PNG,1 TIFF,RGB WEBP,RGB AVIF,RGB BMP,L PPM,CMYK JPEG,RGB JPEG2000,F TIFF,I;16 PNG"
    )
    mode, form = chance.choice(forms.split(",")).split()
    Image.new(mode, (9, 7)).save(file, form)
    content = bytearray(file.getvalue())
    for _ in range(chance.choice([1, 2, 8, 30])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content[: chance.randrange(len(content))] if chance.random() < 0.2 else content)


def test_damaged_pictures_are_answered_or_refused(pictures: Schema) -> None:
    refused = 0
    for seed in range(400):
        try:
            frame = rows_frame([{"photo": {"b64": base64.b64encode(damaged(seed)).decode()}}], pictures)
            pictures.encode(frame)
        except (Refusal, DataError):
            refused += 1
    assert 100 < refused < 400


def test_a_file_that_is_no_picture_is_refused(pictures: Schema) -> None:
    for content in (b"", b"x", picture()[:20], b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(Refusal, match="the picture cannot be read") as caught:
            rows_frame([{"photo": {"b64": base64.b64encode(content).decode()}}], pictures)
        assert (caught.value.status, caught.value.where) == (422, "column photo, row 0")


def test_base64_that_is_none_is_refused(pictures: Schema) -> None:
    with pytest.raises(Refusal, match="the picture is not base64"):
        rows_frame([{"photo": {"b64": "a*b"}}], pictures)


def test_bare_tokens_are_read() -> None:
    assert parse_body(b"[-Infinity, 1]") == [float("-inf"), 1]


def test_columns_of_dot_paths_are_found_inside_objects(schema: Schema) -> None:
    inner = {column.name: f"user.{column.name}" if column.name == "age" else column.name for column in schema.inputs}
    inner["city"] = "user.address.city"
    nested = Schema(
        tuple(replace(column, name=inner[column.name]) for column in schema.inputs),
        schema.target,
        schema.missing_values,
    )
    rest = {name: ROW[name] for name in ("height", "member")}
    frame = rows_frame(
        [
            {**rest, "user": {"age": 31, "address": {"city": "北京"}}},
            {**rest, "user.age": 32, "user.address.city": "a"},
            {**rest, "user": {"age": 33}, "user.address": {"city": "b"}},
            {**rest, "user": None},
        ],
        nested,
    )
    assert frame["user.age"].to_list() == [31, 32, 33, None]
    assert frame["user.address.city"].to_list() == ["北京", "a", "b", None]
    with pytest.raises(Refusal, match=r"the column user\.address\.city is not in row 0"):
        rows_frame([{**rest, "user": {"age": 31, "address": {}}}], nested)


@pytest.fixture
def calls() -> Schema:
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(800)), 8000, format="WAV")
    target = fit_column("kind", "category", {"missing": "drop", "unseen": "error"}, pl.Series(["a", "b"]))
    return Schema((fit_column("call", "audio", {}, pl.Series([file.getvalue()] * 2)),), target)


def test_sounds_come_as_base64_or_frames(calls: Schema) -> None:
    from danlu.serve.openapi import _TONE

    given = [{"b64": _TONE}, f"data:audio/wav;base64,{_TONE}", None]
    found = calls.encode(rows_frame([{"call": value} for value in given], calls))["series_0"]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0, :, -1].sum() == 1
    assert not found[2].any()
    frames = calls.encode(rows_frame([{"call": [[0.0] * 40] * 3}], calls))["series_0"]
    assert frames[0, :, -1].sum() == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("/etc/passwd", "a sound must be its file in base64"),
        ({"b64": "a*b"}, "the sound is not base64"),
        ({"b64": "YWJj"}, "the sound cannot be read"),
        ([["x"]], "the sound is not a list of frames, each a list of numbers"),
        ([0.5], "the sound is not a list of frames, each a list of numbers"),
    ],
)
def test_what_is_no_sound_is_refused(calls: Schema, value: Any, message: str) -> None:
    with pytest.raises(Refusal, match=message) as caught:
        rows_frame([{"call": value}], calls)
    assert caught.value.where.startswith("column call")
