"""What is masked is nowhere: all that a run, a failure, a kill or a server leaves is searched for what was planted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import html
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import polars as pl
import pytest
from stdnum import luhn

from danlu.base.errors import DataError
from danlu.bundle import Bundle, load
from danlu.serve.app import App, answer_body
from danlu.serve.refusal import Refusal
from danlu.serve.server import serve

KEY = "a key of the tests 0123456789 abcdef"
ROWS = 160
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

# Every value that is planted holds one of these, none of which chance or a library would write.
MARKS = {
    "email": "planted-zq",
    "phone": "139775310",
    "landline": "010-62577",
    "american": "415-555-26",
    "resident_id": "110105194912",
    "card": "411177530",
    "iban": "500105175407",
    "ssn": "536-90-4",
    "english_name": "Zyxwella",
    "chinese_name": "龘靐",
    "ip": "203.0.113.7",
    "mac": "00:1a:2b:3c:4d",
    "plate": "沪A·77",
    "account": "wxid_zqzq",
    "passport": "E775319",
    "address": "Nowhereshire",
    "customer": "CUSTZQ77531",
    "free": "planted-free-text",
    "born": "1987-06-",
}

MASK = """
  mask:
    columns:
      email: hash
      name: pseudonym
      姓名: pseudonym
      phone: {name: hash, length: 8}
      resident_id: drop
      card: {name: generalize, keep: 4}
      born: {name: generalize, to: year}
      customer: hash
      address: pseudonym
      note: redact
      free: drop
    kinds: {phone: redact, email: hash, resident_id: redact, card: redact, iban: redact, national_id: redact,
            name: pseudonym, ip: redact, mac: redact, plate: redact, account: redact, passport: redact}
"""
RECIPE = """
name: people
seed: 1
data:
  source: people.SUFFIX
  join: [{source: side.jsonl, key: customer}]
  target: y
  columns: {note: category, 留言: category, email: category, 姓名: category, name: category, phone: category,
            card: category, customer: category, born: datetime, address: category, office: category}
prepare:
  split: {validation: 0.2, test: 0.3}MASK
train: {epochs: 2}
evaluate: {bootstrap: 20, baselines: [majority]}
compress: {try: []}
"""


def resident_id(number: int) -> str:
    head = f"{MARKS['resident_id']}31{number:03}"
    rest = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, head, strict=True)) % 11
    return head + "10X98765432"[rest]


def card(number: int) -> str:
    head = f"{MARKS['card']}{number:06}"
    return head + luhn.calc_check_digit(head)


def iban(number: int) -> str:
    body = f"{MARKS['iban']}{number:06}"
    return f"DE{98 - int(body + '131400') % 97:02}{body}"


def person(number: int) -> dict[str, str]:
    letter, other = chr(97 + number % 26), chr(0x4E00 + number)
    return {
        "email": f"u{number}@{MARKS['email']}.example.org",
        "name": f"{MARKS['english_name']} Quorn{letter}",
        "姓名": f"{MARKS['chinese_name']}{other}",
        "phone": f"{MARKS['phone']}{number % 100:02}",
        "resident_id": resident_id(number),
        "card": card(number),
        "born": f"{MARKS['born']}{1 + number % 28:02}",
        "customer": f"{MARKS['customer']}{number:04}",
        "address": f"{number} High Street, {MARKS['address']}",
        "free": f"{MARKS['free']} {number}",
        "note": f"Dr. {MARKS['english_name']} Quorn{letter} at {MARKS['american']}71, SSN {MARKS['ssn']}399, "
        f"u{number}@{MARKS['email']}.com, IBAN {iban(number)}, {MARKS['ip']} and {MARKS['mac']}:5e",
        "留言": f"姓名：{MARKS['chinese_name']}，电话{MARKS['phone']}{number % 100:02}或{MARKS['landline']}123，"
        f"身份证{resident_id(number)}，卡号{card(number)}，车牌{MARKS['plate']}123，微信：{MARKS['account']}，"
        f"护照号：{MARKS['passport']}12，邮箱u{number}@{MARKS['email']}.cn",
    }


def table() -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows and a side table; the target follows from x."""
    random = np.random.default_rng(0)
    x = random.normal(size=ROWS)
    people = pl.DataFrame([person(number) for number in range(ROWS)]).with_columns(
        x=pl.Series(x), y=pl.Series(np.where(x + random.normal(size=ROWS) * 0.5 > 0, "yes", "no"))
    )
    office = [f"u{number}@{MARKS['email']}.net" for number in range(ROWS)]
    return people, people.select("customer").with_columns(office=pl.Series(office))


def write(folder: Path, *, masks: bool = True, suffix: str = "csv", people: pl.DataFrame | None = None) -> Path:
    """A recipe and its data; the folder of the runs lies elsewhere."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    rows, side = table()
    rows = rows if people is None else people
    if suffix == "csv":
        rows.write_csv(source / "people.csv")
    else:
        rows.write_ndjson(source / "people.jsonl")
    side.write_ndjson(source / "side.jsonl")
    recipe = source / "recipe.yaml"
    text = RECIPE.replace("SUFFIX", suffix).replace("MASK", MASK if masks else "")
    recipe.write_text(text if masks else text.replace("office: ", "resident_id: category, office: "), encoding="utf-8")
    return recipe


def surroundings(folder: Path, key: str = KEY) -> dict[str, str]:
    """An environment whose temporary and state folders are searched too."""
    for name in ("temporary", "state"):
        (folder / name).mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DANLU_")}
    return {**kept, "DANLU_MASK_KEY": key, "TMPDIR": str(folder / "temporary"), "XDG_STATE_HOME": str(folder / "state")}


def command(verb: str, recipe: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "danlu", verb, str(recipe), "--runs", str(folder / "runs")]


def danlu(verb: str, recipe: Path, folder: Path, key: str = KEY) -> subprocess.CompletedProcess[bytes]:
    asked = command(verb, recipe, folder)
    return subprocess.run(asked, capture_output=True, check=False, env=surroundings(folder, key))


def forms(text: str) -> set[bytes]:
    """A text as files may hold it: plain, in wide characters, escaped."""
    found = {text.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "gb18030")}
    escaped = (json.dumps(text)[1:-1], quote(text), quote(text, safe=""), html.escape(text), repr(text.encode())[2:-1])
    return found | {one.encode() for one in escaped}


FORMS = {name: forms(text) for name, text in [*MARKS.items(), ("key", KEY)]}


def contents(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Bytes, and whatever is packed into them: archives, compressed streams, Arrow, Parquet and NumPy, base64."""
    yield data
    if depth == 3:
        return
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from contents(archive.read(name), depth + 1)
    elif data.startswith(b"\x1f\x8b"):
        yield from contents(gzip.decompress(data), depth + 1)
    elif data.startswith((b"ARROW1", b"PAR1")):
        read = pl.read_ipc if data.startswith(b"ARROW1") else pl.read_parquet
        with contextlib.suppress(pl.exceptions.PolarsError):  # a file that a kill cut short
            frame = read(io.BytesIO(data))
            yield "\n".join(str(value) for row in frame.rows() for value in row).encode()
    elif data.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(data))
        yield "\n".join(f"{value:.0f}" for value in array.ravel().tolist() if abs(value) > 1e6).encode()
    for run in re.findall(rb"[A-Za-z0-9+/]{40,}", data):
        if len(run) < len(data):
            yield from contents(base64.b64decode(run[: len(run) // 4 * 4]), depth + 1)


def leaks(*places: Path | bytes) -> dict[str, set[str]]:
    """Mark → the files that hold it; file names are searched too."""
    found: dict[str, set[str]] = {}
    searched = 0
    for place in places:
        files = sorted(path for path in place.rglob("*") if path.is_file()) if isinstance(place, Path) else [place]
        for file in files:
            data, name_of = (file.read_bytes(), str(file).encode()) if isinstance(file, Path) else (file, b"")
            searched += 1
            for part in (name_of, *contents(data)):
                for name, wanted in FORMS.items():
                    if any(one in part for one in wanted):
                        found.setdefault(name, set()).add(str(file)[:200])
    assert searched
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[bytes]]:
    """A whole run of masked people: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("masked")
    return folder, danlu("run", write(folder), folder)


def test_nothing_of_a_whole_run_holds_what_is_masked(ran: tuple[Path, subprocess.CompletedProcess[bytes]]) -> None:
    folder, done = ran
    assert done.returncode == 0, done.stderr.decode()
    run = folder / "runs/people-0001"
    assert (run / "bundle/manifest.json").exists()
    assert (run / "report.html").exists()
    assert list((folder / "runs/.cache/prepare").glob("*/test/**/*.arrow"))
    assert leaks(folder / "runs", folder / "temporary", folder / "state", done.stdout, done.stderr) == {}
    findings = json.loads((run / "findings.json").read_text(encoding="utf-8"))
    changed = {one["columns"][0]: one["evidence"]["changed"] for one in findings if one["key"].startswith("masked:")}
    assert changed == dict.fromkeys([*person(0), "office"], ROWS)
    assert json.loads((run / "bundle/parity.json").read_text(encoding="utf-8"))["passed"]


def test_the_search_finds_what_is_not_masked(tmp_path: Path) -> None:
    done = danlu("prepare", write(tmp_path, masks=False), tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    found = leaks(tmp_path / "runs", done.stdout, done.stderr)
    assert set(found) == set(MARKS)


@pytest.mark.parametrize("form", sorted(FORMS["chinese_name"] | FORMS["phone"]))
def test_the_search_finds_every_form_packed_in_any_way(form: bytes) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x", b"a" + form + b"b")
    plain = b"<img src='data:;base64," + base64.b64encode(b"x" * 40 + form + b"y" * 3) + b"'>"
    for data in (form, archive.getvalue(), gzip.compress(form), plain):
        assert set(leaks(data)) & {"chinese_name", "phone"}
    numbers = io.BytesIO()
    np.save(numbers, np.array([1.5, 13977531012]))
    assert set(leaks(numbers.getvalue())) == {"phone"}
    for packed in ("uncompressed", "zstd"):
        columns = io.BytesIO()
        pl.DataFrame({"x": ["龘靐", "13977531012"] * 9}).write_ipc(columns, compression=packed)  # type: ignore[arg-type]
        assert set(leaks(columns.getvalue())) >= {"chinese_name", "phone"}


def test_json_lines_hold_nothing_either_and_numbers_are_masked_too(tmp_path: Path) -> None:
    people, _ = table()
    numbers = people.with_columns(pl.col("phone", "card").cast(pl.Int64))
    done = danlu("prepare", write(tmp_path, suffix="jsonl", people=numbers), tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert leaks(tmp_path / "runs", tmp_path / "temporary", done.stdout, done.stderr) == {}


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("born", f"{MARKS['free']} is no date", r"a value is not a date.*\n.*column born, row 7"),
        ("x", f"call {MARKS['phone']}12", r"PHONE"),
        ("y", None, r""),
    ],
)
def test_a_run_that_fails_tells_nothing(tmp_path: Path, column: str, value: str | None, told: str) -> None:
    people, _ = table()
    values = people[column].cast(pl.String).to_list()
    values[7] = value
    people = people.with_columns(pl.Series(column, values if value else [None] * ROWS, dtype=pl.String))
    done = danlu("prepare", write(tmp_path, people=people), tmp_path)
    assert done.returncode == 2
    assert re.search(told, done.stderr.decode()), done.stderr.decode()
    assert leaks(done.stdout, done.stderr) == {}
    if (tmp_path / "runs").exists():
        assert leaks(tmp_path / "runs", tmp_path / "temporary", tmp_path / "state", b"-") == {}


def test_a_join_that_fails_tells_nothing(tmp_path: Path) -> None:
    recipe = write(tmp_path)
    side = tmp_path / "source/side.jsonl"
    lines = side.read_text(encoding="utf-8").splitlines()
    side.write_text("\n".join([*lines, lines[0]]), encoding="utf-8")
    done = danlu("prepare", recipe, tmp_path)
    assert done.returncode == 2
    assert b"is no key: 1 values stand there again (rows 0, 160)" in done.stderr
    assert leaks(done.stdout, done.stderr) == {}


def test_without_the_key_nothing_is_written(tmp_path: Path) -> None:
    done = danlu("prepare", write(tmp_path), tmp_path, key="")
    assert done.returncode == 2
    assert b"DANLU_MASK_KEY is not set" in done.stderr
    assert not list((tmp_path / "runs").rglob("*.arrow"))


def test_another_key_is_another_run_and_other_rows(tmp_path: Path) -> None:
    recipe = write(tmp_path)
    for key in (KEY, KEY[::-1]):
        done = danlu("prepare", recipe, tmp_path, key=key)
        assert done.returncode == 0, done.stderr.decode()
    runs = sorted(path.name for path in (tmp_path / "runs").glob("people-*"))
    assert runs == ["people-0001", "people-0002"]
    first, second = (json.loads((tmp_path / "runs" / run / "prepare/prepare.json").read_text()) for run in runs)
    assert first["fingerprint"] != second["fingerprint"]
    assert leaks(tmp_path / "runs") == {}


def many(tmp_path: Path, rows: int) -> Path:
    """A recipe for a table of so many rows."""
    people, _ = table()
    long = pl.concat([people] * (rows // ROWS))
    long = long.with_columns(customer=pl.lit(MARKS["customer"]) + pl.Series(np.arange(len(long))).cast(pl.String))
    recipe = write(tmp_path, people=long)
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(re.sub(r"  join: .*\n", "", text).replace(", office: category", ""), encoding="utf-8")
    return recipe


def kill(process: subprocess.Popen[bytes], tmp_path: Path) -> dict[str, set[str]]:
    """Kill a run and search what it left."""
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    places = [path for path in (tmp_path / "runs", tmp_path / "temporary") if path.exists()]
    return leaks(*places, errors)


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    recipe = many(tmp_path, 3_000)
    for delay in (0.8, 1.2, 1.6, 2.5):
        process = subprocess.Popen(
            command("prepare", recipe, tmp_path), stderr=subprocess.PIPE, env=surroundings(tmp_path)
        )
        time.sleep(delay)
        assert kill(process, tmp_path) == {}


@pytest.mark.slow
def test_parts_of_a_large_table_are_masked_before_they_go_to_disk(tmp_path: Path) -> None:
    """Killed as soon as the first part is there, while the rest is still read."""
    process = subprocess.Popen(
        command("prepare", many(tmp_path, 400_000), tmp_path), stderr=subprocess.PIPE, env=surroundings(tmp_path)
    )
    while not list((tmp_path / "runs").rglob("*.arrow")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.3)
    assert kill(process, tmp_path) == {}
    assert list((tmp_path / "runs").rglob("*.arrow"))


@pytest.fixture(scope="module")
def bundle(ran: tuple[Path, subprocess.CompletedProcess[bytes]]) -> Iterator[Bundle]:
    before = os.environ.get("DANLU_MASK_KEY")
    os.environ["DANLU_MASK_KEY"] = KEY
    yield load(ran[0] / "runs/people-0001/bundle")
    if before is None:
        del os.environ["DANLU_MASK_KEY"]
    else:
        os.environ["DANLU_MASK_KEY"] = before


def request(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"rows": rows}).encode()


def raw_row(number: int) -> dict[str, Any]:
    people, side = table()
    return {**people.row(number, named=True), **side.row(number, named=True)}


def test_raw_and_masked_rows_are_answered_alike(bundle: Bundle) -> None:
    raw = pl.DataFrame([raw_row(number) for number in range(20)])
    masked, changed = bundle.schema.masks.apply(raw, bundle.schema.missing_values)
    assert changed["note"] == 20
    np.testing.assert_array_equal(bundle.outputs(raw), bundle.outputs(masked))
    answered = json.loads(answer_body(bundle, request(*raw.to_dicts())))
    assert len(answered["predictions"]) == 20
    assert leaks(answer_body(bundle, request(raw_row(3)))) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"born": f"{MARKS['free']} is no date"},
        {"x": f"call {MARKS['phone']}12"},
        {"note": [MARKS["free"]]},
        {"email": None, "x": {"a": MARKS["email"]}},
    ],
)
def test_a_bad_request_is_refused_without_its_values(bundle: Bundle, change: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        answer_body(bundle, request(raw_row(0), {**raw_row(1), **change}))
    assert caught.value.status == 422
    assert "row 1" in caught.value.where
    assert leaks(json.dumps(caught.value.to_json(), ensure_ascii=False).encode()) == {}
    cut = request(raw_row(1))[:-20]
    with pytest.raises(Refusal, match="not JSON") as caught:
        answer_body(bundle, cut)
    assert leaks(caught.value.message.encode()) == {}


def test_a_failing_server_logs_no_words_of_a_request(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Bundle, body: bytes) -> bytes:
        raise RuntimeError(f"cannot handle {body.decode()}")

    async def ask(app: App) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"content-type": "application/json"}
            return await client.post("/predict", content=request(raw_row(0)), headers=headers)

    with caplog.at_level(logging.ERROR, "danlu.serve"):
        response = asyncio.run(ask(App(bundle, answer=fail)))
    assert response.status_code == 500
    assert "RuntimeError" in caplog.text
    assert leaks(response.content, caplog.text.encode()) == {}
    with caplog.at_level(logging.ERROR, "danlu.serve"):
        assert asyncio.run(ask(App(bundle))).status_code == 200


def test_the_bundle_needs_the_key(bundle: Bundle) -> None:
    del os.environ["DANLU_MASK_KEY"]
    try:
        with pytest.raises(DataError, match="DANLU_MASK_KEY is not set"):
            bundle.schema.check_key()
        with pytest.raises(DataError, match="DANLU_MASK_KEY is not set"):
            serve(bundle, port=0)
        with pytest.raises(DataError, match="DANLU_MASK_KEY is not set"):
            bundle.predict([raw_row(0)])
    finally:
        os.environ["DANLU_MASK_KEY"] = KEY
