"""A table or a query of a database: SQLite through the standard library, servers through connectorx."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

import polars as pl

from danlu.base.devices import need
from danlu.base.errors import DataError
from danlu.prepare.sources.nested import flattened, from_columns
from danlu.prepare.sources.table import Table, frame_hash, located

_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306}
_SECRETS = ("DANLU_SQL_PASSWORD", "PGPASSWORD")
# A wrong host is told apart from a slow one by then; connectorx itself would go on trying for 30 s.
_CONNECT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Sql:
    """A database: a SQLite file, or `sqlite:///FILE`, `postgresql://USER@HOST/DATABASE`, `mysql://USER@HOST/DATABASE`.

    A server's password is taken from the environment (`DANLU_SQL_PASSWORD`, else `PGPASSWORD`) and written nowhere; a
    source that holds one is refused. The server is asked to only read. Types stay the database's own. The order of
    rows counts as content: give a server's query an `order by`.

    Attributes:
        query: what to select.
        table: the table to take whole, instead of a query; by default the only one of a SQLite file.
    """

    query: str | None = None
    table: str | None = None

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows of the answer.

        Raises:
            DataError: no such file or table, the server cannot be reached or refuses, the query is wrong, or there are
                no rows; no message holds the password.
            MissingExtraError: connectorx, which servers need, is not installed.
        """
        if self.query and self.table:
            raise DataError(
                "both query and table are set", where="data.reader", hint="keep one: a query names its tables itself"
            )
        text = str(source)
        if "://" not in text or text.startswith("sqlite:///"):
            return _read_sqlite(located(text.removeprefix("sqlite:///"), base), self.query, self.table)
        scheme = text.partition("://")[0].lower()
        if scheme not in _PORTS:
            raise DataError(
                f"{scheme}:// is no database that is read", where=shown(text), hint="sqlite, postgresql or mysql"
            )
        if not (self.query or self.table):
            raise DataError(
                "a server's database needs a table or a query",
                where=shown(text),
                hint="data: {source: …, reader: {name: sql, table: NAME}}",
            )
        frame = _read_server(text, self.query or f"select * from {_quoted(str(self.table), scheme)}")
        return Table(frame=frame, values_hash=frame_hash(frame))


def shown(source: str) -> str:
    """A connection string as it may be written anywhere: without a password."""
    return re.sub(r"(://[^:/@\s]*):.*@", r"\1@", re.sub(r"(?i)(password=)[^&\s]*", r"\1…", source))


def _quoted(table: str, scheme: str) -> str:
    """`schema.table` as identifiers."""
    mark = "`" if scheme == "mysql" else '"'
    return ".".join(mark + part.replace(mark, mark * 2) + mark for part in table.split("."))


def _read_sqlite(path: Path, query: str | None, table: str | None) -> Table:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            query = query or f"select * from {_quoted(_sqlite_table(connection, path, table), 'sqlite')}"
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise DataError(
            f"SQLite says: {error}", where=str(path), hint="check that it is a SQLite file, and data.reader.query"
        ) from error
    _check(names, len(rows), str(path))
    frame = from_columns(dict(zip(names, zip(*rows, strict=True), strict=True)))
    ahead = path.with_name(path.name + "-wal")  # rows written but not yet in the file itself
    files = (path, ahead) if ahead.is_file() and ahead.stat().st_size else (path,)
    return Table(frame=frame, files=files)


def _sqlite_table(connection: sqlite3.Connection, path: Path, table: str | None) -> str:
    found = connection.execute(
        "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%' order by name"
    ).fetchall()
    names = [str(name) for (name,) in found]
    if table is None and len(names) == 1:
        return names[0]
    if table in names and table is not None:
        return table
    there = f"{path.name} has {', '.join(names[:20]) or 'no tables'}"
    raise DataError(
        f"there is no table {table}; {there}" if table else f"{there}: which?",
        where=str(path),
        hint="data: {source: …, reader: {name: sql, table: NAME}}",
    )


def _check(names: list[str], num_rows: int, where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two columns of the query are called {twice[0]}", where=where, hint="rename one: `x as y`")
    if not names or not num_rows:
        raise DataError("the query gives no rows", where=where, hint="check data.reader.query")


def _read_server(source: str, query: str) -> pl.DataFrame:
    """The query's answer from a server. Raises DataError."""
    need("connectorx", "data")
    if shown(source) != source:
        raise DataError(
            "the source holds a password", where=shown(source), hint="remove it, and set DANLU_SQL_PASSWORD instead"
        )
    try:
        parts = urlsplit(source)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise DataError(f"{source} is no address: {error}", where=source, hint="SCHEME://USER@HOST:PORT/DB") from None
    password = next((os.environ[name] for name in _SECRETS if os.environ.get(name)), "")
    _check_reachable(parts)
    try:
        frame = pl.read_database_uri(
            query,
            _with_password(parts, password),
            engine="connectorx",
            pre_execution_query="set session transaction read only" if parts.scheme.lower() == "mysql" else None,
        )
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # which is no Exception; connectorx raises it for odd types
            raise DataError(
                f"a column's type cannot be read: {_without(str(error), password)}",
                where=shown(source),
                hint="turn it into text or a number in data.reader.query: cast(x as text)",
            ) from None
        if not isinstance(error, Exception):
            raise
        reason = _without(str(error).strip().splitlines()[0] if str(error).strip() else "no reason given", password)
        raise DataError(
            f"the database refused: {reason}",
            where=shown(source),
            hint="check the user, the password in DANLU_SQL_PASSWORD, and data.reader",
        ) from None  # the cause may hold the whole connection string
    _check(frame.columns, frame.height, shown(source))
    return flattened(frame)


def _check_reachable(parts: SplitResult) -> None:
    host, port = parts.hostname, parts.port or _PORTS[parts.scheme.lower()]
    if not host or "%2f" in host.lower():  # a unix socket
        return
    try:
        socket.create_connection((unquote(host), port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise DataError(
            f"no database answers at {host}:{port}: {error.strerror or error}",
            where=shown(urlunsplit(parts)),
            hint="check host and port, and that the server runs",
        ) from None


def _with_password(parts: SplitResult, password: str) -> str:
    """The whole connection string; PostgreSQL is asked to only read, and to give rows in the same order each time."""
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{user}:{quote(password, safe='')}{at}{host}" if password and user else parts.netloc
    query = parts.query
    if parts.scheme.lower() in ("postgresql", "postgres") and "options=" not in query:
        options = quote("-c default_transaction_read_only=on -c synchronize_seqscans=off")
        query = f"{query}&options={options}" if query else f"options={options}"
    return urlunsplit((parts.scheme, netloc, parts.path, query, parts.fragment))


def _without(text: str, password: str) -> str:
    for secret in filter(None, (password, quote(password, safe=""))):
        text = text.replace(secret, "…")
    return shown(text)
