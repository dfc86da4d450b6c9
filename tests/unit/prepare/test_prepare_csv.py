"""Delimited text of every dialect and encoding, and its faults."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danlu.base.errors import DataError
from danlu.prepare.sources.csv import Csv
from danlu.prepare.sources.table import Table

ROWS = "name,age,note\nAda,36,first\nBob,,second\nEve,41,third\n"


def read(folder: Path, text: str | bytes, name: str = "rows.csv", reader: Csv | None = None) -> Table:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return (reader or Csv()).read(name, base=folder)


def keys(table: Table) -> list[str]:
    return [one.key for one in table.findings]


def test_every_column_is_text_and_blanks_are_null(tmp_path: Path) -> None:
    table = read(tmp_path, ROWS)
    assert table.frame.rows() == [("Ada", "36", "first"), ("Bob", None, "second"), ("Eve", "41", "third")]
    assert set(table.frame.dtypes) == {pl.String}
    assert table.rows.tolist() == [0, 1, 2]
    assert table.findings == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = ROWS.replace(",", delimiter).replace("first", "one, two; three" if delimiter not in ",;" else "first")
    table = read(tmp_path, text)
    assert table.frame.columns == ["name", "age", "note"]
    assert table.frame["age"].to_list() == ["36", None, "41"]


def test_a_named_delimiter_is_taken(tmp_path: Path) -> None:
    table = read(tmp_path, "a~b\n1~2\n", reader=Csv(delimiter="~"))
    assert table.frame.rows() == [("1", "2")]


@pytest.mark.parametrize(
    ("encoding", "noted"),
    [("utf-8", False), ("utf-8-sig", False), ("utf-16", True), ("gb18030", True), ("gbk", True)],
)
def test_chinese_reads_the_same_in_every_encoding(tmp_path: Path, encoding: str, noted: bool) -> None:
    text = "城市,人口\n北京,2154\n上海,2424\n广州,1404\n"
    table = read(tmp_path, text.encode(encoding))
    assert table.frame.rows() == [("北京", "2154"), ("上海", "2424"), ("广州", "1404")]
    assert table.frame.columns == ["城市", "人口"]
    assert keys(table) == (["encoding"] if noted else [])


def test_latin_1_is_the_last_resort_and_said(tmp_path: Path) -> None:
    table = read(tmp_path, "city,size\nZürich,4\nMünchen,15\nMálaga,6\nKøbenhavn,6\n".encode("latin-1"))
    assert table.frame["city"].to_list() == ["Zürich", "München", "Málaga", "København"]
    assert "cp1252" in table.findings[0].message
    assert "encoding" in table.findings[0].remedy


def test_a_wrong_named_encoding_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"byte 7 of rows.csv is not valid utf-8\n.*rows.csv:2 "):
        read(tmp_path, "city\nZ\xfcrich\n".encode("latin-1").replace(b"Z", b"Zo"), reader=Csv(encoding="utf-8"))


def test_gzip_in_several_members_is_unpacked(tmp_path: Path) -> None:
    table = read(tmp_path, gzip.compress(ROWS[:20].encode()) + gzip.compress(ROWS[20:].encode()), "rows.csv.gz")
    assert table.frame.height == 3


def test_a_cut_gzip_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows.csv.gz is a damaged gzip file: it ends too early"):
        read(tmp_path, gzip.compress(ROWS.encode() * 100)[:-40], "rows.csv.gz")


def test_quoted_delimiters_line_ends_and_quotes_survive(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n1,"x, y"\n2,"two\nlines"\n3,"say ""hi"""\n4,\n')
    assert table.frame["b"].to_list() == ["x, y", "two\nlines", 'say "hi"', None]


def test_windows_and_old_mac_line_ends(tmp_path: Path) -> None:
    for end in ("\r\n", "\r"):
        assert read(tmp_path, ROWS.replace("\n", end)).frame["note"].to_list() == ["first", "second", "third"]
    quoted = read(tmp_path, 'a,b\r\n"1","x"\r\n"2","y"\r\n')
    assert quoted.frame.rows() == [("1", "x"), ("2", "y")]


def test_stray_quotes_are_ordinary_characters(tmp_path: Path) -> None:
    inches = read(tmp_path, 'disk,price\n5" floppy,1\n3.5" floppy,2\n"hard, large",300\n')
    assert inches.frame["disk"].to_list() == ['5" floppy', '3.5" floppy', "hard, large"]
    texts = read(tmp_path, 'text\tlabel\n"open\t1\nplain\t0\nmore\t1\nand "so"\t0\n', "rows.tsv")
    assert texts.frame["text"].to_list() == ['"open', "plain", "more", 'and "so"']


def test_a_file_without_a_header_gets_names_and_a_note(tmp_path: Path) -> None:
    numbers = read(tmp_path, "1,red\n2,green\n3,red\n")
    assert numbers.frame.columns == ["column_1", "column_2"]
    assert numbers.frame.height == 3
    assert keys(numbers) == ["no_header"]
    words = read(tmp_path, "ham\thello there\nspam\tbuy now\nham\tsee you\n", "sms.tsv")
    assert words.frame.columns == ["column_1", "column_2"]
    assert read(tmp_path, "1,red\n2,green\n", reader=Csv(header=True)).frame.columns == ["1", "red"]


@pytest.mark.parametrize("header", ["kind,word", "0,1", "1,2", "name,value 2020"])
def test_headers_of_texts_places_and_years_are_seen(tmp_path: Path, header: str) -> None:
    table = read(tmp_path, f"{header}\nx,5.5\ny,6.5\nx,7.5\n")
    assert table.frame.height == 3


def test_years_after_a_name_are_a_header(tmp_path: Path) -> None:
    table = read(tmp_path, "country,2019,2020,2021\nA,5,6,7\nB,8,9,10\n")
    assert table.frame.columns == ["country", "2019", "2020", "2021"]


def test_rows_with_another_number_of_fields_are_rejected_with_their_line(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b,c\n1,2,3\n4,5\n"6\n6",7,8\n9,9,9,9\n1,1,1\n')
    assert table.frame["a"].to_list() == ["1", "6\n6", "1"]
    assert table.rows.tolist() == [0, 2, 4]
    assert [(row, where.rpartition(":")[2], reason) for row, where, reason in table.rejected.rows()] == [
        (1, "3", "2 fields, expected 3"),
        (3, "6", "4 fields, expected 3"),
    ]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n1,2\n\n3,4\n\r\n\n").frame.height == 2
    assert read(tmp_path, "a\nx\n\ny\n\n\n").frame["a"].to_list() == ["x", None, "y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"rows.csv is empty"),
        (" \n \n", r"rows.csv is empty"),
        ("a,b\n", r"rows.csv has a header and no rows"),
        ("a,b\n1,\x002\n", r"null byte[\s\S]*rows.csv:2"),
        ("a,b,a\n1,2,3\n", r"the column name a stands 2 times in the header of rows.csv \(columns 1, 3\)"),
    ],
)
def test_what_cannot_be_a_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_an_unnamed_column_gets_a_name(tmp_path: Path) -> None:
    table = read(tmp_path, ",a\n0,x\n1,y\n")
    assert table.frame.columns == ["column_1", "a"]
    assert keys(table) == ["unnamed_columns"]


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "census.csv").write_text(ROWS)
    with pytest.raises(DataError, match=r"there is no file cencus.csv[\s\S]*did you mean census.csv\?"):
        Csv().read("cencus.csv", base=tmp_path)


def test_real_tables_read_whole(data: Path) -> None:
    expected = {
        "adult/adult_train.csv.gz": (32561, 15),
        "telco_churn/telco_customer_churn.csv.gz": (7043, 21),
        "ames_housing/AmesHousing.csv.gz": (2930, 82),
        "sst2/train.tsv.gz": (6920, 2),
        "sentiment_sentences/imdb_labelled.txt.gz": (1000, 2),
        "chnsenticorp_hotel/ChnSentiCorp_htl_all.csv.gz": (7766, 2),
    }
    for name, shape in expected.items():
        table = Csv().read(name, base=data)
        assert (table.frame.shape, table.rejected.height) == (shape, 0), name


def test_gb18030_of_a_real_table_is_the_same_table(data: Path, tmp_path: Path) -> None:
    text = gzip.decompress((data / "chnsenticorp_hotel/ChnSentiCorp_htl_all.csv.gz").read_bytes()).decode("utf-8-sig")
    (tmp_path / "hotel.csv").write_bytes(text.encode("gb18030"))
    again = Csv().read("hotel.csv", base=tmp_path).frame
    assert again.equals(Csv().read("chnsenticorp_hotel/ChnSentiCorp_htl_all.csv.gz", base=data).frame)


def test_a_word_above_numbers_is_a_name_whatever_stands_beside_it(tmp_path: Path) -> None:
    assert read(tmp_path, "size,2020,red\n1.5,7,red\n2.5,8,red\n").frame.columns == ["size", "2020", "red"]
    assert read(tmp_path, "NA,5,red\n3,4,blue\n1,2,red\n").frame.height == 3


CELLS = st.text(alphabet="ab ,;|\t\"'\n中é1.", max_size=8)


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 100).map(lambda value: f"{value:.3f}"), CELLS, CELLS), min_size=3, max_size=12
    ),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_by_the_rules_is_read_back(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, end: str, quoting: int
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("number", "first", "second"), *rows])
    table = read(tmp_path, text.getvalue())
    assert [tuple(cell or "" for cell in row) for row in table.frame.rows()] == rows
    assert table.rejected.height == 0


def test_a_mark_of_utf_8_before_other_bytes_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b'\xef\xbb\xbfa,b\n1,2\n"x,\xe4"\xb8,3\n')
    with pytest.raises(DataError, match=r"byte \d+ of x.csv is not valid utf-8\n  .*x.csv:3 · fix: save the file"):
        Csv().read("x.csv", base=tmp_path)
