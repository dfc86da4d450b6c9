"""What Hugging Face's `datasets` writes: `save_to_disk` folders, and Parquet shards named as on the Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.class_folders import SPLIT_FOLDERS
from danlu.prepare.sources.nested import flattened
from danlu.prepare.sources.table import Rows, Table, located

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
_SHARD = re.compile(r"([A-Za-z][\w.]*?)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.parquet")
_LISTS = ("Sequence", "List", "LargeList")


@dataclass(frozen=True)
class _Part:
    """One split: its name ("" where there is one only), its files, and the columns' features."""

    split: str
    files: tuple[Path, ...]
    features: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class HuggingFace:
    """A folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote, or of shards as on the Hub.

    Shards are named `train-00000-of-00002.parquet`, in the folder itself or in `data`. The package `datasets` is not
    needed. Codes of class labels become their names, -1 is missing, pictures become their files' bytes. The splits are
    the data's own where there are `train` and others.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows, split by split.

        Raises:
            DataError: no such folder, a damaged file, or features that do not fit the columns.
        """
        rows = Rows(holds=True)
        for table in self.pieces(source, base=base):
            rows.add(table, str(source))
        return rows.table()

    def pieces(self, source: Any, *, base: Path) -> Iterator[Table]:
        """All rows, file by file. Raises DataError."""
        folder = located(source, base)
        parts, note = _chosen(_parts(folder))
        num_rows = 0
        for part in parts:
            for path in part.files:
                frame = _named(_read(path), part.features or _parquet_features(path), path)
                num_rows += frame.height
                yield Table(
                    frame=flattened(frame),
                    files=(path,),
                    split=np.full(frame.height, part.split, dtype="U10") if part.split else None,
                    target=_target(part.features or _parquet_features(path)),
                    findings=note,
                )
        if not num_rows:
            raise DataError(f"{folder.name} has no rows", where=str(folder), hint="give a data set with rows")


def is_hugging_face(folder: Path) -> bool:
    """Whether a folder is one that `save_to_disk` wrote, or holds shards as on the Hub."""
    if (folder / _SPLITS).is_file() or ((folder / _STATE).is_file() and (folder / _INFO).is_file()):
        return True
    return bool(_shards(folder))


def _parts(folder: Path) -> list[_Part]:
    """Every split of a folder."""
    if (folder / _SPLITS).is_file():
        names = _json(folder / _SPLITS).get("splits")
        if not isinstance(names, list) or not names:
            raise _odd(folder / _SPLITS, "it names no splits")
        return [_saved(folder / _plain(str(name), folder / _SPLITS), str(name)) for name in names]
    if (folder / _STATE).is_file():
        return [_saved(folder, "")]
    shards = _shards(folder)
    if not shards:
        raise DataError(
            f"{folder.name} is not a folder of Hugging Face's: it has no {_STATE}, {_SPLITS} or shards",
            where=str(folder),
            hint="give the folder that save_to_disk wrote, or one of train-00000-of-00001.parquet, …",
        )
    return [_Part(name, tuple(files), {}) for name, files in shards.items()]


def _saved(folder: Path, split: str) -> _Part:
    """What `Dataset.save_to_disk` wrote."""
    state, info = _json(folder / _STATE), _json(folder / _INFO)
    if state.get("_indices_files"):
        raise DataError(
            f"{folder.name} holds a selection of rows beside the rows themselves, as old releases wrote it",
            where=str(folder / _STATE),
            hint="load it with datasets, call flatten_indices(), and save it again",
        )
    try:
        names = [_plain(str(one["filename"]), folder / _STATE) for one in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise _odd(folder / _STATE, "it names no files") from error
    files = tuple(folder / name for name in names)
    absent = next((path for path in files if not path.is_file()), None)
    if absent is not None:
        raise DataError(f"{absent.name} is not there, which {_STATE} names", where=str(absent), hint="save it again")
    features = info.get("features")
    return _Part(split, files, features if isinstance(features, dict) else {})


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Split → shards, where all Parquet files of a folder, or of its `data`, are named as on the Hub."""
    for place in (folder, folder / "data"):
        files = sorted(place.glob("*.parquet")) if place.is_dir() else []
        matches = [_SHARD.fullmatch(path.name) for path in files]
        found: dict[str, list[Path]] = {}
        for path, match in zip(files, matches, strict=True):
            if match:
                found.setdefault(match.group(1), []).append(path)
        if files and all(matches) and any(name.lower() in SPLIT_FOLDERS for name in found):
            return found
    return {}


def _chosen(parts: list[_Part]) -> tuple[list[_Part], tuple[Finding, ...]]:
    """The splits that are read, by our names, and a note of the others; without `train` and another all are one."""
    known = {part.split: SPLIT_FOLDERS[part.split.lower()] for part in parts if part.split.lower() in SPLIT_FOLDERS}
    named = [_Part(known[part.split], part.files, part.features) for part in parts if part.split in known]
    if len(parts) == 1:
        return [_Part("", parts[0].files, parts[0].features)], ()
    if "train" not in known.values() or len(set(known.values())) < 2:
        named = [_Part("", part.files, part.features) for part in parts if part.split in known or not known]
    others = [part.split for part in parts if part.split not in known] if known else []
    if not others:
        return named, ()
    message = f"the splits {', '.join(others)} are neither for training nor validation nor test, and are left out"
    return named, (Finding(key="splits_ignored", severity="note", message=message),)


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path, glob=False, hive_partitioning=False)
        with open(path, "rb") as file:
            is_file = file.read(6) == b"ARROW1"
        return pl.scan_ipc(path, glob=False, hive_partitioning=False).collect() if is_file else pl.read_ipc_stream(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(
            f"{path.name} is not a whole Arrow or Parquet file: {reason}",
            where=str(path),
            hint="save or fetch the data set again",
        ) from error


def _parquet_features(path: Path) -> Mapping[str, Any]:
    """The features that a shard's own metadata tell."""
    if path.suffix != ".parquet":
        return {}
    try:
        found = json.loads(pl.read_parquet_metadata(path).get("huggingface", "{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _target(features: Mapping[str, Any]) -> str | None:
    labels = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    return "label" if "label" in labels else labels[0] if len(labels) == 1 else None


def _kind(feature: Any) -> str:
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _named(frame: pl.DataFrame, features: Mapping[str, Any], path: Path) -> pl.DataFrame:
    """The frame with names of classes instead of their codes."""
    return frame.with_columns(
        _converted(frame[name], feature, path) for name, feature in features.items() if name in frame.columns
    )


def _converted(values: pl.Series, feature: Any, path: Path) -> pl.Series:
    if _kind(feature) == "ClassLabel":
        return _labels(values, feature, path)
    inner = feature.get("feature") if _kind(feature) in _LISTS else feature[0] if _is_list(feature) else None
    if isinstance(inner, dict) and _kind(inner) == "ClassLabel" and isinstance(values.dtype, pl.List):
        flat = values.explode(empty_as_null=False, keep_nulls=False)
        return _listed(values, _labels(flat, inner, path))
    if isinstance(values.dtype, pl.Struct) and isinstance(feature, dict) and "_type" not in feature:
        fields = [_converted(values.struct.field(one), feature.get(one), path) for one in values.struct.fields]
        return pl.DataFrame(fields).to_struct(values.name)
    return values


def _is_list(feature: Any) -> bool:
    return isinstance(feature, list) and len(feature) == 1


def _listed(lists: pl.Series, flat: pl.Series) -> pl.Series:
    """Lists of the same lengths as `lists`, with other values in them; null where `lists` is."""
    lengths = lists.list.len().fill_null(0)
    rows = pl.Series("row", np.repeat(np.arange(len(lists)), lengths.to_numpy()))
    grouped = pl.DataFrame([rows, flat.alias("value")]).group_by("row", maintain_order=True).agg("value")
    found = pl.DataFrame({"row": np.arange(len(lists))}).join(grouped, on="row", how="left", maintain_order="left")
    empty = pl.Series([[]], dtype=pl.List(flat.dtype))
    return found.select(
        pl.when(lists.is_null())
        .then(None)
        .otherwise(pl.col("value").fill_null(pl.lit(empty).first()))
        .alias(lists.name)
    ).to_series()


def _labels(values: pl.Series, feature: Mapping[str, Any], path: Path) -> pl.Series:
    """Codes as names; -1 is missing. Raises DataError for a code without a name."""
    names = feature.get("names")
    if not isinstance(names, list) or not values.dtype.is_integer():
        return values
    top = values.max()
    if isinstance(top, int) and top >= len(names):
        raise DataError(
            f"{values.name} has the class {top}, and there are {len(names)} names",
            where=f"{path}, column {values.name}",
            hint=f"mend the names in {_INFO}",
        )
    table = pl.Series("names", [str(name) for name in names], dtype=pl.String)
    codes = values.set(values < 0, None)
    return table.gather(codes).alias(values.name) if len(table) else values


def _plain(name: str, where: Path) -> str:
    """A name that stays in its folder. Raises DataError."""
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise DataError(
            f"{where.name} names {name[:80]!r}, which leads out of its folder",
            where=str(where),
            hint="do not trust this folder; save the data set anew",
        )
    return name


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _odd(path, f"it cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise _odd(path, "it is no object")
    return found


def _odd(path: Path, reason: str) -> DataError:
    return DataError(f"{path.name} is not what save_to_disk writes: {reason}", where=str(path), hint="save it again")
