"""The application over ASGI, without a socket."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from danlu.bundle import Bundle, load
from danlu.serve.app import App, Limits

ROW: dict[str, Any] = {"age": 31, "height": "1.7", "city": "北京", "member": True}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Path]) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("app") / "bundle"))


def ask(app: App, method: str, path: str, base: str = "http://localhost", **given: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **given)

    return asyncio.run(run())


def fault(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status
    found: dict[str, str] = response.json()["error"]
    assert list(found) == ["message", "where", "hint"]
    return found


@pytest.fixture
def app(bundle: Bundle) -> App:
    return App(bundle, hosts=frozenset({"localhost", "127.0.0.1", "[::1]"}))


def test_the_model_tells_about_itself(app: App, bundle: Bundle) -> None:
    told = ask(app, "GET", "/").json()
    assert (told["model"], told["task"], told["version"]) == ("toy", "binary", bundle.version)
    assert [column["name"] for column in told["inputs"]] == ["age", "height", "city", "member"]
    assert ask(app, "HEAD", "/").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/v2"])
def test_health(app: App, prefix: str) -> None:
    assert ask(app, "GET", f"{prefix}/health/live").json() == {"live": True}
    assert ask(app, "GET", f"{prefix}/health/ready").status_code == 503
    app.warm()
    assert ask(app, "GET", f"{prefix}/health/ready").json() == {"ready": True}


def test_rows_are_answered(app: App) -> None:
    reply = ask(app, "POST", "/predict", json={"rows": [ROW, ROW]})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert len(reply.json()["predictions"]) == 2
    charset = {"content-type": "application/json; charset=utf-8"}
    assert ask(app, "POST", "/predict", content=json.dumps(ROW), headers=charset).json()["predictions"]


def test_what_a_client_does_wrong_is_a_4xx(app: App) -> None:
    assert "/predict" in fault(ask(app, "GET", "/nothing"), 404)["hint"]
    refused = ask(app, "GET", "/predict")
    assert fault(refused, 405)["message"] == "GET is not allowed here, POST is"
    assert refused.headers["allow"] == "POST"
    assert ask(app, "DELETE", "/").headers["allow"] == "GET, HEAD"
    assert (
        "text/plain"
        in fault(ask(app, "POST", "/predict", content="x", headers={"content-type": "text/plain"}), 415)["message"]
    )
    assert fault(ask(app, "POST", "/predict", content="{}"), 415)["hint"] == "send content-type: application/json"
    zipped = {"content-type": "application/json", "content-encoding": "gzip"}
    assert "gzip" in fault(ask(app, "POST", "/predict", content=b"x", headers=zipped), 415)["message"]
    assert fault(ask(app, "POST", "/predict", json={**ROW, "age": "x"}), 422)["where"] == "column age, row 0"


def test_another_host_is_refused(app: App, bundle: Bundle) -> None:
    assert "evil.example" in fault(ask(app, "GET", "/", base="http://evil.example:8000"), 421)["message"]
    assert ask(app, "GET", "/", base="http://127.0.0.1:8000").status_code == 200
    assert ask(app, "GET", "/", base="http://[::1]:8000").status_code == 200
    assert ask(App(bundle), "GET", "/", base="http://any.example").status_code == 200


def test_a_large_body_is_refused_before_it_is_read(bundle: Bundle) -> None:
    app = App(bundle, limits=Limits(body_bytes=1000))
    read = 0

    async def chunks() -> Any:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * 200

    async def call(headers: list[tuple[bytes, bytes]], messages: list[dict[str, Any]]) -> tuple[int, int]:
        sent: list[dict[str, Any]] = []
        given = iter(messages)
        taken = 0

        async def receive() -> dict[str, Any]:
            nonlocal taken
            taken += 1
            return next(given)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "headers": [(b"content-type", b"application/json"), *headers],
        }
        await app(scope, receive, send)
        assert (b"connection", b"close") in sent[0]["headers"]
        return sent[0]["status"], taken

    parts = [{"type": "http.request", "body": b" " * 300, "more_body": True}] * 10
    assert asyncio.run(call([(b"content-length", b"1001")], parts)) == (413, 0)
    assert asyncio.run(call([], parts)) == (413, 4)
    assert app.held_bytes == 0


def test_a_client_that_leaves_is_let_go(bundle: Bundle) -> None:
    app = App(bundle)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"content-type", b"application/json")]}
    asyncio.run(app(scope, receive, send))
    assert sent == []
    assert app.waiting == 0


def test_too_many_at_once_are_told_to_come_again(bundle: Bundle) -> None:
    gate = threading.Event()

    def slow(bundle: Bundle, body: bytes) -> bytes:
        assert gate.wait(10)
        return b"{}"

    app = App(bundle, limits=Limits(waiting=2, threads=1), answer=slow)

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            calls = [asyncio.create_task(client.post("/predict", json=ROW)) for _ in range(5)]
            while sum(call.done() for call in calls) < 3:
                await asyncio.sleep(0.005)
            health = await client.get("/health/live")
            gate.set()
            return [health, *await asyncio.gather(*calls)]

    health, *replies = asyncio.run(run())
    assert health.status_code == 200
    assert sorted(reply.status_code for reply in replies) == [200, 200, 429, 429, 429]
    assert {reply.headers.get("retry-after") for reply in replies if reply.status_code == 429} == {"1"}
    assert (app.waiting, app.held_bytes) == (0, 0)


def test_too_much_held_at_once_is_told_to_come_again(bundle: Bundle) -> None:
    app = App(bundle, limits=Limits(held_bytes=10))
    assert "too many large requests" in fault(ask(app, "POST", "/predict", json=ROW), 429)["message"]
    assert app.held_bytes == 0


def test_a_fault_of_ours_is_logged_and_not_shown(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    def broken(bundle: Bundle, body: bytes) -> bytes:
        raise ZeroDivisionError("a secret")

    with caplog.at_level(logging.ERROR, logger="danlu.serve"):
        reply = ask(App(bundle, answer=broken), "POST", "/predict", json=ROW)
    assert fault(reply, 500)["message"] == "the server failed; its log says why"
    assert "secret" not in reply.text
    assert "a secret" in caplog.text


def test_openapi_speaks_of_this_model(app: App, tmp_path: Path, make_bundle: Callable[..., Path]) -> None:
    told = ask(app, "GET", "/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    assert set(told["paths"]) == set(app.routes)
    row = told["components"]["schemas"]["Row"]
    assert row["required"] == ["age", "height", "city", "member"]
    assert told["components"]["schemas"]["Answer"]["properties"]["prediction"] == {"enum": ["high", "low"]}
    example = told["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["one"][
        "value"
    ]
    assert ask(app, "POST", "/predict", json=example).status_code == 200
    priced = App(load(make_bundle(tmp_path / "bundle", "price")))
    answer = ask(priced, "GET", "/openapi.json").json()["components"]["schemas"]["Answer"]
    assert answer["properties"] == {"prediction": {"type": "number"}}
