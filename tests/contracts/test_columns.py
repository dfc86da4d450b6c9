"""One sweep over every column type of the catalogue."""

import io
import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from pydantic import ValidationError

from danlu import catalog
from danlu.base.errors import DataError
from danlu.base.registry import build, describe, validate
from danlu.columns.column import Arrays, FittedColumn, fit_column
from danlu.columns.schema import Schema


def picture(shade: int, size: tuple[int, int] = (9, 7)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 255 - shade, 40)).save(file, "PNG")
    return file.getvalue()


def sound(hertz: float, seconds: float = 0.05) -> bytes:
    file = io.BytesIO()
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)
    soundfile.write(file, samples, 8000, format="WAV")
    return file.getvalue()


@dataclass(frozen=True)
class Example:
    """Values of one column type: some to fit on, one of them missing, and one that fit never saw."""

    values: pl.Series
    unseen: object


EXAMPLES = {
    "number": Example(pl.Series("x", ["1.5", "-3", None, "1,200", "7", "7"]), "1e9"),
    "category": Example(pl.Series("x", ["red", "blue", None, "red", "green", "1.0"]), "violet"),
    "boolean": Example(pl.Series("x", ["yes", "no", None, "yes", "no", "yes"]), "true"),
    "datetime": Example(
        pl.Series("x", ["2024-01-05 10:30", "2023-12-31", None, "2020-02-29", "2024-01-06", "1999-01-01"]), "2050-07-01"
    ),
    "image": Example(
        pl.Series("x", [picture(0), picture(200, (16, 16)), None, picture(90), picture(10), picture(55)]),
        picture(7, (40, 3)),
    ),
    "audio": Example(
        pl.Series("x", [sound(200), sound(900, 0.09), None, sound(400), sound(90), sound(2000, 0.07)]), sound(50, 0.2)
    ),
    "series": Example(
        pl.Series("x", ["1 2 3", "[2.5, 0, -1]", None, "4;5", "0, 1e3, 7, 9", "7"]), "[[5], [nan], [12], [1], [2]]"
    ),
    "tokens": Example(
        pl.Series("x", ["to be or", "[3, 17]", None, "not to", "be", "be  be be be"]), "what is a question"
    ),
    "text": Example(
        pl.Series("x", ["To be, or", "not to be?", None, "酒店很好。Good!", "be\x00 😀", "questions"]),
        "questionable \ufeff[CLS] ｗｈａｔ",
    ),
    "set": Example(pl.Series("x", ["red|blue", "blue", None, "|", "green | red", "blue|blue"]), "violet|red"),
    "tags": Example(
        pl.Series("x", ["O B-PER I-PER", "O", None, "B-LOC O", "B-PER", "B-PER I-PER O O"]), "O B-ORG I-PER O O O O"
    ),
    "pair": Example(pl.Series("x", ["0", "1", None, "2", "3", "4"]), "5"),
    "ignore": Example(pl.Series("x", ["a", "b", None, "c", "d", "e"]), "f"),
}


@pytest.fixture(params=catalog.names("columns"))
def type_name(request: pytest.FixtureRequest) -> str:
    assert request.param in EXAMPLES, f"add an example of the column type {request.param} to EXAMPLES"
    return str(request.param)


def fitted(type_name: str) -> FittedColumn:
    return fit_column("x", type_name, {}, EXAMPLES[type_name].values)


def assert_declared(column: FittedColumn, arrays: Arrays, num_rows: int) -> None:
    dtypes = {
        "scalar": np.float32,
        "code": np.int32,
        "image": np.uint8,
        "series": np.float32,
        "tokens": np.int32,
    }
    assert list(arrays) == [field.name for field in column.fields]
    for field in column.fields:
        array = arrays[field.name]
        assert array.dtype == dtypes[field.kind]
        assert array.shape == (num_rows, *field.shape)
        assert array.flags.writeable, "torch.from_numpy warns of arrays that may not be written"
        if field.kind in ("code", "tokens"):
            assert array.min() >= (-2 if column.type == "tags" else 0), "tags have codes for no token and for unseen"
            assert array.max() < field.num_codes
        else:
            assert field.num_codes == 0
            assert np.isfinite(array).all()
        if field.kind == "image":
            assert len(field.mean) == len(field.std) == field.shape[2]
            assert min(field.std) > 0


def test_builds_from_its_defaults_and_documents_every_option(type_name: str) -> None:
    component = catalog.find("columns", type_name)
    build(component)
    assert all(option.doc for option in describe(component))


def test_encodes_what_it_declares(type_name: str) -> None:
    column = fitted(type_name)
    values = EXAMPLES[type_name].values
    assert_declared(column, column.encode(values), len(values))
    assert_declared(column, column.encode(values.head(1)), 1)


def test_no_rows_encode_to_no_rows(type_name: str) -> None:
    column = fitted(type_name)
    arrays = column.encode(EXAMPLES[type_name].values.head(0))
    assert all(len(array) == 0 for array in arrays.values())
    assert {field.name: field.shape for field in column.fields} == {
        name: array.shape[1:] for name, array in arrays.items()
    }


def test_missing_and_unseen_values_never_fail(type_name: str) -> None:
    column = fitted(type_name)
    values = EXAMPLES[type_name].values
    fresh = pl.Series("x", [None, EXAMPLES[type_name].unseen, None], dtype=values.dtype)
    assert_declared(column, column.encode(fresh), 3)
    nothing = pl.Series("x", [None, None])
    assert_declared(column, column.encode(nothing), 2)


def test_a_row_alone_is_the_row_in_its_batch(type_name: str) -> None:
    column = fitted(type_name)
    values = EXAMPLES[type_name].values
    batch = column.encode(values)
    for row in range(len(values)):
        alone = column.encode(values[row : row + 1])
        for name, array in batch.items():
            np.testing.assert_array_equal(array[row : row + 1], alone[name])


def test_decode_gives_what_encodes_to_the_same(type_name: str) -> None:
    column = fitted(type_name)
    arrays = column.encode(EXAMPLES[type_name].values)
    decoded = column.decode(arrays)
    assert decoded.name == "x"
    if column.fields:
        again = column.encode(decoded)
        for name, array in arrays.items():
            np.testing.assert_allclose(array, again[name], rtol=1e-5, atol=1e-5)


def test_the_order_of_training_rows_does_not_matter(type_name: str) -> None:
    values = EXAMPLES[type_name].values
    one = fit_column("x", type_name, {}, values).encode(values)
    other = fit_column("x", type_name, {}, values.reverse()).encode(values)
    for name, array in one.items():
        np.testing.assert_allclose(array, other[name], rtol=1e-6)


def test_saved_and_loaded_is_equal(type_name: str) -> None:
    column = fitted(type_name)
    values = EXAMPLES[type_name].values
    description, arrays = Schema((column,), column, ("?",)).dump()
    loaded = Schema.load(json.loads(json.dumps(description, allow_nan=False)), arrays)
    again = loaded.inputs[0]
    assert (again.name, again.type, again.options) == (column.name, column.type, column.options)
    assert again.fields == column.fields
    assert again.state.dump() == column.state.dump()
    for name, array in column.encode(values).items():
        np.testing.assert_array_equal(array, again.encode(values)[name])


def test_a_column_without_one_value_is_refused(type_name: str) -> None:
    if type_name == "ignore":
        pytest.skip("an ignored column is not looked at")
    for nothing in (pl.Series("x", [None] * 3), pl.Series("x", [None] * 3, dtype=pl.String), pl.Series("x", [])):
        with pytest.raises(DataError, match="nothing to learn from") as caught:
            fit_column("x", type_name, {}, nothing)
        assert caught.value.where == "column x"
        assert caught.value.hint == "set data.columns.x to ignore"


def test_a_misspelt_option_fails_and_is_named(type_name: str) -> None:
    component = catalog.find("columns", type_name)
    for option in (*(f"{option.name}x" for option in describe(component)), "nonsense"):
        with pytest.raises(ValidationError, match=f"{option}\n.*Extra inputs are not permitted"):
            validate(component, {option: 1})


def test_drops_only_missing_rows_and_only_when_asked(type_name: str) -> None:
    values = EXAMPLES[type_name].values
    component = catalog.find("columns", type_name)
    if "missing" not in {option.name for option in describe(component)}:
        assert not fitted(type_name).column.drops(values).any()
        return
    column = fit_column("x", type_name, {"missing": "drop"}, values)
    np.testing.assert_array_equal(column.column.drops(column.parse(values)), values.is_null().to_numpy())
    assert "missing" not in [field.name for field in column.fields]
    assert_declared(column, column.encode(values), len(values))


def test_importing_all_columns_imports_no_torch_and_no_pillow() -> None:
    modules = "'torch', 'PIL', 'sklearn', 'pandas', 'onnxruntime'"
    code = (
        "import sys\n"
        "from danlu import catalog\n"
        "import danlu.columns.inference\n"
        "for name in catalog.names('columns'): catalog.find('columns', name)\n"
        f"print([name for name in ({modules}) if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
