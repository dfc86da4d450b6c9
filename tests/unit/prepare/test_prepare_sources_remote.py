"""Sources elsewhere: a real web server of the test's own, and fsspec's store in memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DanluError, DataError
from danlu.base.progress import Quiet
from danlu.pipeline import run
from danlu.prepare.sources.hashing import content_hash
from danlu.prepare.sources.reading import read_data, read_rows, read_source
from danlu.prepare.sources.remote import fetch, fetch_all
from danlu.prepare.survey import survey
from danlu.recipe.reading import recipe_from
from danlu.recipe.schema import Data

ROWS = b"x,y\n1,a\n2,b\n3,a\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    """Copies go below the test's own folder."""
    before = os.environ.get("DANLU_CACHE")
    os.environ["DANLU_CACHE"] = str(tmp_path / "cache")
    yield tmp_path / "cache"
    if before is None:
        del os.environ["DANLU_CACHE"]
    else:
        os.environ["DANLU_CACHE"] = before


@dataclass
class Answer:
    body: bytes = ROWS
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Web:
    """A server that gives what `answers` holds, and remembers what it was asked."""

    root: str
    answers: dict[str, Answer]
    asked: list[tuple[str, int]]


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web("", {}, [])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = made.answers.get(self.path, Answer(b"", 404))
            tag = answer.headers.get("ETag")
            since = answer.headers.get("Last-Modified")
            same = (tag and self.headers.get("If-None-Match") == tag) or (
                since and self.headers.get("If-Modified-Since") == since
            )
            status = 304 if same else answer.status
            made.asked.append((self.path, status))
            self.send_response(status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            body = b"" if same else answer.body
            self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.root = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def store() -> Iterator[Any]:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


class TestWeb:
    def test_a_file_is_read_as_from_disk(self, web: Web, tmp_path: Path) -> None:
        web.answers["/data/rows.csv"] = Answer()
        table = read_source(f"{web.root}/data/rows.csv", base=tmp_path)
        assert table.frame.rows() == [("1", "a"), ("2", "b"), ("3", "a")]
        assert all(path.is_file() for path in table.files)

    def test_names_of_any_script_and_spaces(self, web: Web, tmp_path: Path) -> None:
        web.answers["/%E8%A1%A8%20one.csv"] = Answer()
        assert read_source(f"{web.root}/表 one.csv", base=tmp_path).frame.height == 3

    @pytest.mark.parametrize(
        ("headers", "statuses"),
        [
            ({"ETag": '"one"'}, [200, 304, 304]),
            ({"Last-Modified": "Mon, 06 Oct 2025 10:00:00 GMT"}, [200, 304, 304]),
            ({}, [200, 200, 200]),
        ],
    )
    def test_a_copy_is_kept_while_the_server_says_it_is_what_it_has(
        self, web: Web, headers: dict[str, str], statuses: list[int]
    ) -> None:
        web.answers["/rows.csv"] = Answer(headers=headers)
        for _ in statuses:
            assert fetch(f"{web.root}/rows.csv").path.read_bytes() == ROWS
        assert [status for _, status in web.asked] == statuses

    def test_a_new_version_is_fetched(self, web: Web) -> None:
        web.answers["/rows.csv"] = Answer(headers={"ETag": '"one"'})
        fetch(f"{web.root}/rows.csv")
        web.answers["/rows.csv"] = Answer(b"x,y\n9,z\n", headers={"ETag": '"two"'})
        assert fetch(f"{web.root}/rows.csv").path.read_bytes() == b"x,y\n9,z\n"

    @pytest.mark.parametrize(("status", "message"), [(404, "no such file"), (403, "refuses"), (503, "answers 503")])
    def test_what_the_server_refuses_is_said_without_the_signature(self, web: Web, status: int, message: str) -> None:
        web.answers["/rows.csv?sig=geheim"] = Answer(b"", status)
        with pytest.raises(DataError, match=message) as caught:
            fetch(f"{web.root}/rows.csv?sig=geheim")
        assert caught.value.where == f"{web.root}/rows.csv?sig=…"
        assert "geheim" not in f"{caught.value.message} {caught.value.hint}"

    def test_half_a_file_is_none(self, web: Web, cache: Path) -> None:
        web.answers["/rows.csv"] = Answer(length=len(ROWS) + 100)
        with pytest.raises(DataError, match=rf"ended after {len(ROWS)} of {len(ROWS) + 100} bytes"):
            fetch(f"{web.root}/rows.csv")
        assert [path.name for path in cache.rglob("*") if path.is_file()] == [".lock"]

    def test_the_old_copy_stands_where_the_new_one_breaks_off(self, web: Web, cache: Path) -> None:
        web.answers["/rows.csv"] = Answer(headers={"ETag": '"one"'})
        kept = fetch(f"{web.root}/rows.csv").path
        web.answers["/rows.csv"] = Answer(b"x,y\n", headers={"ETag": '"two"'}, length=500)
        with pytest.raises(DataError, match="ended after 4 of 500 bytes"):
            fetch(f"{web.root}/rows.csv")
        assert kept.read_bytes() == ROWS

    def test_nobody_there(self) -> None:
        with pytest.raises(DataError, match="nobody answers there"):
            fetch("http://127.0.0.1:9/rows.csv")

    def test_no_such_host(self) -> None:
        with pytest.raises(DataError, match="nobody answers there"):
            fetch("http://no-such-host.invalid/rows.csv")

    def test_a_glob_cannot_be_listed(self) -> None:
        with pytest.raises(DataError, match="a web server gives no list"):
            fetch("https://example.org/2024/*.csv")

    def test_a_fault_in_the_file_names_the_address(self, web: Web, tmp_path: Path) -> None:
        web.answers["/rows.csv?token=geheim"] = Answer(b"x,y\n")
        with pytest.raises(DataError, match="has a header and no rows") as caught:
            read_source(f"{web.root}/rows.csv?token=geheim", base=tmp_path)
        assert caught.value.where == f"{web.root}/rows.csv?token=…"

    def test_a_rejected_row_names_the_address(self, web: Web, tmp_path: Path) -> None:
        web.answers["/rows.csv"] = Answer(ROWS + b"4,b,c\n")
        table = read_source(f"{web.root}/rows.csv", base=tmp_path)
        assert table.rejected["where"].to_list() == [f"{web.root}/rows.csv:5"]

    def test_a_full_disk_is_a_storage_error(self, web: Web, cache: Path) -> None:
        web.answers["/rows.csv"] = Answer()
        cache.write_text("a file where the folder should be")
        with pytest.raises(DanluError, match="could not write"):
            fetch(f"{web.root}/rows.csv")

    def test_a_disk_that_takes_no_more_leaves_nothing_half(self, web: Web, cache: Path) -> None:
        web.answers["/rows.csv"] = Answer(b"x,y\n" + b"1,a\n" * 100_000)
        code = (
            "import resource, sys\n"
            "from danlu.base.errors import StorageError\n"
            "from danlu.prepare.sources.remote import fetch\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
            "try:\n    fetch(sys.argv[1])\n"
            "except StorageError as error:\n    print(error.message)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, f"{web.root}/rows.csv"], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("could not write ")
        assert [path.name for path in cache.rglob("*") if path.is_file()] == [".lock"]

    def test_the_copies_are_the_user_s_alone(self, web: Web, cache: Path) -> None:
        web.answers["/rows.csv"] = Answer()
        folder = fetch(f"{web.root}/rows.csv").path.parent.parent
        assert folder.stat().st_mode & 0o077 == 0

    def test_splits_side_tables_and_rows_to_predict_for(self, web: Web, tmp_path: Path) -> None:
        web.answers["/train.csv"] = Answer()
        web.answers["/test.csv"] = Answer(b"x,y\n4,b\n")
        web.answers["/side.jsonl"] = Answer(b'{"x": 1, "z": 5}\n{"x": 4, "z": 6}\n')
        data = {
            "train": f"{web.root}/train.csv",
            "test": f"{web.root}/test.csv",
            "join": [{"source": f"{web.root}/side.jsonl", "key": "x"}],
        }
        recipe = recipe_from({"data": data, "target": "y"})
        fetch_all(recipe.data, Quiet())
        assert {path for path, _ in web.asked} == {"/train.csv", "/test.csv", "/side.jsonl"}
        table = read_data(recipe.data, base=tmp_path)
        assert table.frame["z"].to_list() == [5, None, None, 6]
        assert table.split is not None
        assert table.split.tolist() == ["train"] * 3 + ["test"]
        assert read_rows(f"{web.root}/test.csv").rows() == [("4", "b")]

    def test_the_profile_shows_no_signature(self, web: Web, tmp_path: Path) -> None:
        web.answers["/rows.csv?sig=geheim"] = Answer(b"x,y\n" + b"1,a\n2,b\n" * 30)
        found = survey(f"{web.root}/rows.csv?sig=geheim", None, base=tmp_path, progress=Quiet())
        assert (found.source, found.rows) == ("rows.csv?sig=…", 60)

    @pytest.mark.parametrize("until", ["prepare", pytest.param("deploy", marks=pytest.mark.slow)])
    def test_a_run_s_folder_and_its_bundle_hold_no_signature(self, web: Web, tmp_path: Path, until: str) -> None:
        frame = pl.DataFrame({"x": range(60), "z": [at * 7 % 13 for at in range(60)]})
        frame = frame.with_columns(pl.when(pl.col("z") > 6).then(pl.lit("a")).otherwise(pl.lit("b")).alias("y"))
        web.answers["/rows.csv?sig=geheim&part=1"] = Answer(frame.write_csv().encode())
        recipe = {
            "data": f"{web.root}/rows.csv?sig=geheim&part=1", "target": "y", "train": {"epochs": 1},
            "evaluate": {"bootstrap": 10, "baselines": []}, "compress": {"try": []},
            "prepare": {"accept": ["leak:z"]},
        }  # fmt: skip
        result = run(recipe_from(recipe), root=tmp_path / "runs", until=until)
        assert result.new_work
        assert (result.bundle is not None) == (until == "deploy")
        files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
        assert {"resolved.yaml", "findings.json", "columns.json"} <= {path.name for path in files}
        assert not [path for path in files if b"geheim" in path.read_bytes()]
        assert not [path for path in files if "geheim" in str(path)]

    def test_one_picture_to_predict_for(self, web: Web) -> None:
        web.answers["/1.png?page=2"] = Answer(b"bytes of a picture")
        (path,) = read_rows(f"{web.root}/1.png?page=2")["image"]
        assert Path(path).read_bytes() == b"bytes of a picture"


class TestStore:
    def test_a_glob_with_a_partition_column(self, store: Any, tmp_path: Path) -> None:
        store.pipe("/bucket/year=2023/a.csv", b"x,y\n1,a\n")
        store.pipe("/bucket/year=2024/a.csv", b"x,y\n2,b\n")
        store.pipe("/bucket/year=2024/.hidden.csv", b"x,y\n3,b\n")
        table = read_source("memory://bucket/*/*.csv", base=tmp_path)
        assert table.frame.rows() == [("1", "a", "2023"), ("2", "b", "2024")]

    def test_files_of_other_columns_are_named_by_their_addresses(self, store: Any, tmp_path: Path) -> None:
        store.pipe("/mixed/a/1.csv", b"x,y\n1,a\n")
        store.pipe("/mixed/b/2.csv", b"x,z\n2,b\n")
        with pytest.raises(DataError, match="it lacks y and has z besides") as caught:
            read_source("memory://mixed/*/*.csv", base=tmp_path)
        assert caught.value.where == "memory://mixed/b/2.csv"

    def test_a_rejected_row_of_a_glob_names_its_file(self, store: Any, tmp_path: Path) -> None:
        store.pipe("/torn/a/1.csv", b"x,y\n1,a\n")
        store.pipe("/torn/b/2.csv", b"x,y\n2,b\n3\n")
        table = read_source("memory://torn/*/*.csv", base=tmp_path)
        assert table.rejected["where"].to_list() == ["memory://torn/b/2.csv:3"]

    def test_a_folder_of_tables(self, store: Any, tmp_path: Path) -> None:
        for number in range(12):
            store.pipe(f"/many/{number:02}.csv", f"x,y\n{number},a\n".encode())
        table = read_source("memory://many", base=tmp_path)
        assert table.frame["x"].to_list() == [str(number) for number in range(12)]

    def test_what_is_gone_there_goes_here(self, store: Any, tmp_path: Path) -> None:
        store.pipe("/some/deep/a.csv", b"x,y\n1,a\n")
        store.pipe("/some/b.csv", b"x,y\n2,b\n")
        assert len(fetch("memory://some/**/*.csv").files) == 2
        store.rm("/some/deep/a.csv")
        fetched = fetch("memory://some/**/*.csv")
        assert [path.name for path in fetched.files] == ["b.csv"]
        assert [path.name for path in fetched.path.rglob("*")] == ["b.csv"]

    def test_only_what_changed_is_fetched(self, store: Any) -> None:
        store.pipe("/part/a.csv", ROWS)
        store.pipe("/part/b.csv", ROWS)
        first = {path.name: path.stat().st_ino for path in fetch("memory://part/*.csv").files}
        store.pipe("/part/b.csv", b"x,y\n7,b\n8,c\n9,a\n")
        again = {path.name: path.stat().st_ino for path in fetch("memory://part/*.csv").files}
        assert first["a.csv"] == again["a.csv"]
        assert first["b.csv"] != again["b.csv"]

    def test_the_hash_is_that_of_the_same_file_on_disk(self, store: Any, tmp_path: Path) -> None:
        store.pipe("/hash/rows.csv", ROWS)
        (tmp_path / "rows.csv").write_bytes(ROWS)
        there, here = (
            content_hash(Data(source=source, target="y"), base=tmp_path)
            for source in ("memory://hash/rows.csv", "rows.csv")
        )
        assert there == here

    def test_parquet_packed_and_folders_of_pictures_are_read_by_their_readers(self, store: Any, tmp_path: Path) -> None:
        image = pytest.importorskip("PIL.Image")
        frame = pl.DataFrame({"x": [1, 2], "y": ["a", "b"]})
        with store.open("/more/rows.parquet", "wb") as file:
            frame.write_parquet(file)
        for label in "ab":
            with store.open(f"/more/photos/{label}/1.png", "wb") as file:
                image.new("L", (2, 2)).save(file, "PNG")
        assert read_source("memory://more/rows.parquet", base=tmp_path).frame.equals(frame)
        assert read_source("memory://more/photos", base=tmp_path).frame["label"].to_list() == ["a", "b"]

    def test_nothing_there_and_no_match(self, store: Any) -> None:
        with pytest.raises(DataError, match="there is no such file") as caught:
            fetch("memory://none/rows.csv")
        assert caught.value.where == "memory://none/rows.csv"
        with pytest.raises(DataError, match="no file matches"):
            fetch("memory://none/*.csv")

    @pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("abfs", "adlfs")])
    def test_a_package_that_is_not_there_is_named(self, scheme: str, package: str) -> None:
        import importlib.util

        if importlib.util.find_spec(package):
            pytest.skip(f"{package} is installed")
        with pytest.raises(DataError, match=f"{scheme}:// needs a package") as caught:
            fetch(f"{scheme}://bucket/2024/*.csv")
        assert caught.value.hint == f"pip install {package}"

    def test_an_unknown_store_is_told_with_those_that_are_known(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="oracle:// is neither a store nor a database") as caught:
            read_source("oracle://host/rows", base=tmp_path)
        assert "postgresql" in caught.value.hint

    def test_a_password_is_refused(self) -> None:
        with pytest.raises(DataError, match="holds a password") as caught:
            fetch("s3://key:geheim@bucket/rows.csv")
        assert "geheim" not in f"{caught.value.message} {caught.value.where} {caught.value.hint}"
