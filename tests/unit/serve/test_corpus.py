"""A corpus of nasty requests over ASGI: each is answered or refused, none is our fault, and the server lives on."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from danlu.bundle import Bundle, load
from danlu.serve.app import App

ROW: dict[str, Any] = {"age": 31, "height": "1.7", "city": "北京", "member": True}
WELL = json.dumps([ROW]).encode()

BODIES = [
    b"", b" ", b"\xef\xbb\xbf[]", b"nul", b"[]", b"{}", b'{"rows":[]}', b'{"rows":null}', b"[[]]", b"[null]", b"\x00",
    b'{"rows":[' * 600, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"[" * 100_000 + b"]" * 100_000,
    WELL.replace(b"31", b"9" * 400), WELL.replace(b"31", b"9" * 10_000), WELL.replace(b"31", b"-" + b"9" * 30),
    WELL.replace(b"31", b"1e999"), WELL.replace(b"31", b"1e308"), WELL.replace(b"31", b"NaN"),
    WELL.replace(b"31", b"-Infinity"), WELL.replace(b"31", b"-0"), WELL.replace(b"31", b"031"),
    WELL.replace(b"31", b'"31\\u0000"'), WELL.replace(b"31", b'"\\ud83d"'), WELL.replace(b"31", b'"\\ud83d", "x": NaN'),
    WELL.replace(b'"age": 31', b'"age": 31, "age": 32'), WELL.replace(b'"age": 31', b'"age": 31, "age": []'),
    WELL.replace(b"true", b"[]"), WELL.replace(b"true", b'"maybe"'), WELL.replace(b'"age"', b'"\\u0061ge"'),
    json.dumps([ROW | {"city": "x" * 1_000_000}]).encode(), json.dumps([ROW | {"city": "/etc/passwd"}]).encode(),
    json.dumps([ROW | {"x" * 100_000: 1}]).encode(), "[{\"age\": \"١٢\"}]".encode(), WELL.decode().encode("utf-16"),
]  # fmt: skip
VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 2**63, -(2**70), 1e308, 5e-324, "", " ", "?", "nan", "inf", "1e999", "0x1F", "1_000",
    "\ud800", "\u202e", "\u0000", "../../etc/passwd", "data:image/png;base64,AAAA", "北京", [], {}, [None],
    {"b64": "AA=="}, float("nan"), float("inf"),
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Path]) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("corpus") / "bundle"))


def statuses(bundle: Bundle, bodies: Sequence[bytes]) -> list[int]:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(App(bundle), raise_app_exceptions=True)  # type: ignore[arg-type]
        head = {"content-type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            found = [(await client.post("/predict", content=body, headers=head)).status_code for body in bodies]
            assert (await client.post("/predict", content=WELL, headers=head)).status_code == 200
            return found

    return asyncio.run(run())


def mutated(seed: int) -> bytes:
    """Some rows, values of which are odd, whose text is perhaps damaged."""
    chance = random.Random(seed)
    rows = [dict(ROW) for _ in range(chance.randrange(4))]
    for row in rows:
        for _ in range(chance.randrange(4)):
            row[chance.choice([*ROW, "rows", "", "Age"])] = chance.choice(VALUES)
        if chance.random() < 0.15:
            del row[chance.choice(list(row))]
    whole: Any = chance.choice([rows, {"rows": rows}, {"rows": rows, "x": 1}, *rows])
    body = bytearray(json.dumps(whole, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass"))
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        if body:
            body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


def test_the_corpus_is_answered_or_refused(bundle: Bundle) -> None:
    for body, status in zip(BODIES, statuses(bundle, BODIES), strict=True):
        assert status in (200, 400, 413, 422), (body[:80], status)


def test_odd_rows_are_answered_or_refused(bundle: Bundle) -> None:
    bodies = [mutated(seed) for seed in range(300)]
    found = statuses(bundle, bodies)
    assert set(found) == {200, 400, 422}, [
        (body, status) for body, status in zip(bodies, found, strict=True) if status not in (200, 400, 422)
    ]
