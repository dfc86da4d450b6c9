"""Databases: SQLite, and a real PostgreSQL where one is installed; a password that never gets anywhere."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pytest

import danlu
from danlu.base.errors import DataError, RecipeError
from danlu.prepare.sources.hashing import content_hash, table_hash
from danlu.prepare.sources.reading import read_data, read_source
from danlu.prepare.sources.sql import Sql, shown
from danlu.recipe.reading import read_recipe, recipe_from
from danlu.recipe.schema import Data
from danlu.recipe.writing import resolved_yaml

SECRET = "n0t/to:be@seen"


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


class TestSqlite:
    @pytest.mark.parametrize("source", ["sqlite:///shop.db", "shop.db"])
    def test_types_are_the_databases(self, source: str, tmp_path: Path) -> None:
        database(
            tmp_path / "shop.db",
            "create table t (n integer, r real, 文 text, b blob)",
            "insert into t values (1, 0.5, '甲', x'00ff'), (null, null, null, null), (3, 2, 'y', x'')",
        )
        table = read_source(source, base=tmp_path)
        assert table.frame.columns == ["n", "r", "文", "b"]
        assert table.frame.dtypes == [pl.Int64, pl.Float64, pl.String, pl.Binary]
        assert table.frame.row(0) == (1, 0.5, "甲", b"\0\xff")
        assert table.files == (tmp_path / "shop.db",)

    def test_a_query_and_a_table(self, tmp_path: Path) -> None:
        database(
            tmp_path / "a.db",
            "create table one as select 1 as x union select 2",
            'create table "two ""b" as select 3 as x',
        )
        assert Sql(query="select x * 2 as y from one where x > 1").read("a.db", base=tmp_path).frame.rows() == [(4,)]
        assert Sql(table='two "b').read("sqlite:///a.db", base=tmp_path).frame.rows() == [(3,)]
        with pytest.raises(DataError, match=r'a.db has one, two "b: which\?'):
            read_source("a.db", base=tmp_path)
        with pytest.raises(DataError, match=r"there is no table three; a.db has one"):
            Sql(table="three").read("a.db", base=tmp_path)
        with pytest.raises(DataError, match="both query and table are set"):
            Sql(query="select 1", table="one").read("a.db", base=tmp_path)

    def test_faulty_queries_are_named(self, tmp_path: Path) -> None:
        database(tmp_path / "a.db", "create table t as select 1 as x")
        for query, message in (
            ("selec", r"SQLite says: near .selec.: syntax error"),
            ("select nope from t", "SQLite says: no such column: nope"),
            ("delete from t", "SQLite says: attempt to write a readonly database"),
            ("select x, x from t", "two columns of the query are called x"),
            ("select x from t where x > 1", "the query gives no rows"),
            ("select 1; select 2", "SQLite says: You can only execute one statement"),
        ):
            with pytest.raises(DataError, match=message):
                Sql(query=query).read("a.db", base=tmp_path)
        (tmp_path / "b.db").write_bytes(b"this is no database" * 100)
        with pytest.raises(DataError, match="SQLite says: file is not a database"):
            read_source("b.db", base=tmp_path)
        with pytest.raises(DataError, match=r"there is no file c.db"):
            read_source("sqlite:///c.db", base=tmp_path)

    def test_rows_not_yet_in_the_file_itself_count(self, tmp_path: Path) -> None:
        data = Data(source="sqlite:///a.db", target="x")
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("pragma journal_mode = wal")
            hashes = []
            for value in (1, 2):
                with connection:
                    connection.execute("create table if not exists t (x)")
                    connection.execute("insert into t values (?)", (value,))
                hashes.append(content_hash(data, base=tmp_path))
                assert read_data(data, base=tmp_path).frame.height == value
        assert hashes[0] != hashes[1]

    def test_a_resolved_recipe_finds_the_file_from_its_own_folder(self, tmp_path: Path) -> None:
        database(tmp_path / "a.db", "create table t as select 1 as x")
        recipe = recipe_from({"data": "sqlite:///a.db", "target": "x"}, base=tmp_path)
        text = resolved_yaml(recipe, tmp_path / "runs" / "a-0001")
        assert "source: sqlite:///../../a.db" in text
        (tmp_path / "runs" / "a-0001").mkdir(parents=True)
        (tmp_path / "runs" / "a-0001" / "resolved.yaml").write_text(text)
        again = read_recipe(tmp_path / "runs" / "a-0001" / "resolved.yaml")
        assert read_data(again.data, base=again.base).frame.rows() == [(1,)]


class TestAddresses:
    @pytest.mark.parametrize(
        "source",
        [f"postgresql://u:{SECRET}@h/db", f"postgres://u:{SECRET}@h:5432/db?x=1", f"mysql://h/db?password={SECRET}"],
    )
    def test_a_password_in_the_recipe_is_refused_and_not_repeated(self, source: str, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="holds a password, which the run would hold") as recipe:
            recipe_from({"data": {"source": source, "target": "x"}})
        (tmp_path / "r.yaml").write_text(f"data: {source}\ntarget: x\n")
        with pytest.raises(RecipeError, match="holds a password") as file:
            read_recipe(tmp_path / "r.yaml")
        with pytest.raises(DataError, match="the source holds a password") as reading:
            Sql(table="t").read(source, base=Path())
        for error in (recipe, file, reading):
            assert "seen" not in str(error.value)
        assert "seen" not in shown(source)

    def test_what_is_no_server_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"ftp:// is no database that is read"):
            Sql().read("ftp://host/file.csv", base=tmp_path)
        with pytest.raises(DataError, match="a server's database needs a table or a query"):
            read_source("postgresql://u@host/db", base=tmp_path)
        with pytest.raises(DataError, match="is no address"):
            Sql(table="t").read("postgresql://u@host:port/db", base=tmp_path)

    def test_a_server_that_does_not_answer_is_named_at_once(self, tmp_path: Path) -> None:
        pytest.importorskip("connectorx")
        with pytest.raises(DataError, match=r"no database answers at 127.0.0.1:\d+: Connection refused"):
            Sql(table="t").read(f"postgresql://u@127.0.0.1:{free_port()}/db", base=tmp_path)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL of its own; the password is in the environment while it runs."""
    pytest.importorskip("connectorx")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="danlu-pg-", dir="/tmp"))  # a short path: sockets lie in it
    if as_user:
        shutil.chown(folder, "postgres")

    def do(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_user, str(found[-1].with_name(program)), *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL
        )

    (folder / "password").write_text(SECRET)
    (folder / "password").chmod(0o644)
    port = free_port()
    options = f"-p {port} -F -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    data = str(folder / "data")
    do("initdb", "-D", data, "-U", "danlu", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-N")
    do("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    before = os.environ.get("DANLU_SQL_PASSWORD")
    os.environ["DANLU_SQL_PASSWORD"] = SECRET
    address = f"postgresql://danlu@127.0.0.1:{port}/postgres"
    try:
        subprocess.run(
            [found[-1].with_name("psql"), "-q", "-v", "ON_ERROR_STOP=1", address, "-c", _TABLES],
            check=True,
            env={**os.environ, "PGPASSWORD": SECRET},
        )
        yield address
    finally:
        os.environ.pop("DANLU_SQL_PASSWORD")
        if before is not None:
            os.environ["DANLU_SQL_PASSWORD"] = before
        do("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


_TABLES = """
create table "Odd 名" (i int, f float8, t text, b boolean, d date, n numeric(8, 2), s timestamptz, j jsonb);
insert into "Odd 名" values (1, 0.5, '甲', true, '2024-01-05', 1.25, now(), '{"a": 1}');
insert into "Odd 名" (i) values (null);
create table flowers (petal float8, kind text);
insert into flowers select i * 37 % 401 / 401.0, case when i * 37 % 401 + i * 91 % 250 < 320 then 'a' else 'b' end
    from generate_series(1, 400) i;
create table spans (x interval);
insert into spans values ('1 day');
"""


class TestPostgres:
    def test_types_are_the_databases(self, server: str) -> None:
        frame = Sql(table="Odd 名").read(server, base=Path()).frame
        kinds = [pl.Int32, pl.Float64, pl.String, pl.Boolean, pl.Date, pl.Float64, pl.Datetime("us", "UTC"), pl.String]
        assert frame.dtypes == kinds
        assert frame.row(0)[:6] == (1, 0.5, "甲", True, date(2024, 1, 5), 1.25)
        assert set(frame.row(1)) == {None}

    def test_the_answer_is_what_is_hashed(self, server: str) -> None:
        query = "select * from flowers order by petal, kind"
        data = Data(source=server, target="kind", reader={"name": "sql", "query": query})
        first = content_hash(data, base=Path())
        assert first == content_hash(data, base=Path()) == table_hash(read_data(data, base=Path()))
        less = Data(source=server, target="kind", reader={"name": "sql", "query": f"{query} limit 50"})
        assert content_hash(less, base=Path()) != first

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"table": "nope"}, 'the database refused: .*relation "nope" does not exist'),
            ({"query": "selec"}, "the database refused: .*syntax error"),
            ({"query": "select 1 as x where false"}, "the query gives no rows"),
            ({"query": "delete from flowers returning 1 as x"}, "the database refused: .*read-only transaction"),
            ({"table": "spans"}, "a column's type cannot be read: not implemented: interval"),
        ],
    )
    def test_faulty_queries_are_named(self, server: str, options: dict[str, str], message: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            Sql(**options).read(server, base=Path())
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.slow  # connectorx tries again for 30 s
    def test_a_wrong_password_is_named_and_not_shown(self, server: str) -> None:
        os.environ["DANLU_SQL_PASSWORD"] = wrong = "wr0ng/" + SECRET
        try:
            with pytest.raises(DataError, match=r"the database refused: .*password authentication failed") as caught:
                Sql(table="flowers").read(server, base=Path())
        finally:
            os.environ["DANLU_SQL_PASSWORD"] = SECRET
        assert wrong not in str(caught.value)

    def test_no_file_of_a_run_holds_the_password(self, server: str, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        reader = {"name": "sql", "query": "select * from flowers order by petal, kind"}
        result = danlu.fit(
            server, target="kind", root=tmp_path, data={"reader": reader}, train={"epochs": 1},
            evaluate={"bootstrap": 10, "baselines": []}, compress={"try": []},
        )  # fmt: skip
        assert result.bundle.is_dir()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) > 10
        assert not [path for path in files if SECRET.encode() in path.read_bytes() or b"n0t%2Fto" in path.read_bytes()]
