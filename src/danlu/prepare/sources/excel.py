"""Excel workbooks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from danlu.base.devices import need
from danlu.base.errors import DataError, nearest
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.nested import flattened
from danlu.prepare.sources.table import Table, located


@dataclass(frozen=True, kw_only=True)
class Excel:
    """A sheet of an Excel workbook (`.xlsx`, `.xls`, `.xlsb`, `.ods`), its first filled row the columns' names.

    Cells keep their kinds; a column of several kinds becomes text.

    Attributes:
        sheet: the sheet's name; by default the only one.
    """

    sheet: str | None = None

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows; those without any cell are left out.

        Raises:
            DataError: no such file or sheet, no workbook, several sheets and none named, two
                columns of one name, or no rows.
            MissingExtraError: fastexcel, which reads workbooks, is not installed.
        """
        path = located(source, base)
        excel = need("fastexcel", "data")
        try:
            book = excel.read_excel(path)
            sheet = _chosen(book.sheet_names, self.sheet, path)
            header = book.load_sheet(sheet, header_row=None, n_rows=1, dtypes="string").to_polars()
            frame = pl.read_excel(
                path, sheet_name=sheet, infer_schema_length=None, raise_if_empty=False, drop_empty_cols=False
            )
        except (excel.FastExcelError, pl.exceptions.PolarsError, OSError, ValueError) as error:
            reason = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise DataError(
                f"{path.name} is not a whole Excel workbook: {reason}",
                where=str(path),
                hint="save it again as .xlsx, without a password, or as CSV",
            ) from error
        if not frame.height or not frame.width:
            raise DataError(
                f"the sheet {sheet} of {path.name} has no rows", where=str(path), hint="name the sheet that has them"
            )
        frame, findings = _named(frame, [str(cell or "").strip() for cell in header.row(0)], path)
        return Table(frame=flattened(frame), files=(path,), findings=findings)


def _named(frame: pl.DataFrame, header: list[str], path: Path) -> tuple[pl.DataFrame, tuple[Finding, ...]]:
    """The frame with names made up where the header has none, and a note of it; without columns that are all empty."""
    twice = [name for name, times in Counter(filter(None, header)).items() if times > 1]
    if twice:
        raise DataError(
            f"the column name {twice[0]} stands {header.count(twice[0])} times in {path.name}",
            where=str(path),
            hint="give every column its own name",
        )
    made = {
        old: f"column_{number}"
        for number, (old, name) in enumerate(zip(frame.columns, header, strict=True), 1)
        if not name
    }
    frame = frame.drop(name for name in made if frame[name].null_count() == frame.height)
    frame = frame.rename({old: new for old, new in made.items() if old in frame.columns})
    unnamed = [name for name in made.values() if name in frame.columns]
    if not unnamed:
        return frame, ()
    message = f"{len(unnamed)} columns of {path.name} have no name; they are called {', '.join(unnamed[:5])}"
    return frame, (Finding(key="unnamed_columns", severity="note", message=message, columns=tuple(unnamed)),)


def _chosen(names: list[str], sheet: str | None, path: Path) -> str:
    if sheet is None and len(names) == 1:
        return names[0]
    if sheet in names and sheet is not None:
        return sheet
    shown = ", ".join(names[:20])
    near = nearest(sheet, names) if sheet else None
    raise DataError(
        f"{path.name} has no sheet {sheet}; it has {shown}" if sheet else f"{path.name} has several sheets: {shown}",
        where=str(path),
        hint=f"did you mean {near}?" if near else "name one: reader: {name: excel, sheet: NAME}",
    )
