"""The database reader on a real MariaDB (MySQL's protocol), where one is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.reading import read_source
from danlu.prepare.sources.sql import Sql

SECRET = "n0t/to@be:seen"
SETUP = f"""
create database shop character set utf8mb4;
create user 'reader'@'%' identified by '{SECRET}';
grant all on shop.* to 'reader'@'%';
use shop;
create table `odd name` (id int primary key, x double, y varchar(20), d date, t datetime, b tinyint(1), n decimal(9,2));
insert into `odd name` values
    (1, 0.5, convert(x'E58C97E4BAAC' using utf8mb4), '1815-06-18', '2024-01-31 12:00:01', 1, 12.5),
    (2, null, null, null, null, null, null);
create table nothing (x int);
"""  # the text is 北京, in bytes: this file is read in the server's own character set


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the test's own, on a free port; its address."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
    install = shutil.which("mariadb-install-db")
    if not (program and install):
        pytest.skip("MariaDB is not installed: apt-get install mariadb-server")
    pytest.importorskip("connectorx")
    folder, base = tmp_path_factory.mktemp("mariadb"), Path(program).resolve().parents[1]
    (folder / "setup.sql").write_text(SETUP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = ["--no-defaults", f"--basedir={base}", f"--datadir={folder / 'data'}"]
    common += [f"--lc-messages-dir={base / 'share' / 'mysql'}", *(["--user=root"] if os.geteuid() == 0 else [])]
    made = [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(made, check=True, capture_output=True)
    options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}"]
    options += [f"--init-file={folder / 'setup.sql'}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program, *common, *options], stdout=log, stderr=log)
    before = os.environ.get("DANLU_SQL_PASSWORD")
    os.environ["DANLU_SQL_PASSWORD"] = SECRET
    try:
        for _ in range(300):
            if b"ready for connections" in (folder / "log").read_bytes():
                break
            assert process.poll() is None, (folder / "log").read_text(errors="replace")
            time.sleep(0.1)
        yield f"mysql://reader@127.0.0.1:{port}/shop"
    finally:
        process.terminate()
        process.wait()
        if before is None:
            del os.environ["DANLU_SQL_PASSWORD"]
        else:
            os.environ["DANLU_SQL_PASSWORD"] = before


def test_types_are_the_databases(server: str) -> None:
    frame = Sql(query="select * from `odd name` order by id").read(server, base=Path()).frame
    assert frame.dtypes == [pl.Int32, pl.Float64, pl.String, pl.Date, pl.Datetime("us"), pl.Int8, pl.Float64]
    assert frame.row(0) == (1, 0.5, "北京", date(1815, 6, 18), datetime(2024, 1, 31, 12, 0, 1), 1, 12.5)
    assert frame.row(1) == (2, *[None] * 6)


def test_a_table_is_read_whole_and_by_its_address_alone(server: str) -> None:
    assert read_source(server, base=Path(), reader=Sql(table="shop.odd name")).frame.height == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "nope"}, "the database refused: .*Table 'shop.nope' doesn't exist"),
        ({"query": "selec"}, "the database refused: "),
        ({"table": "nothing"}, "the query gives no rows"),
        ({"query": "delete from `odd name`"}, "the database refused: .*READ ONLY transaction"),
    ],
)
def test_faulty_queries_are_named(server: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Sql(**options).read(server, base=Path())
    assert SECRET not in str(caught.value)
    assert Sql(table="odd name").read(server, base=Path()).frame.height == 2
