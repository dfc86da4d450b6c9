"""Answers as columns and as JSON."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.bundle.replies import reply_frame, reply_objects, reply_schema
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.tasks.task import task_for


def test_quantiles_that_lie_close_have_names_of_their_own() -> None:
    rows = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [10.0, 20.0, 30.0]})
    levels = [0.5, 0.999999, 0.9999999]
    target = fit_column("y", "number", {"missing": "drop", "quantiles": levels}, rows["y"])
    schema = Schema((fit_column("x", "number", {}, rows["x"]),), target)
    task = task_for(target)
    answers = task.answers(np.array([[0.0, 1.0, 2.0], [0.5, 0.5, 3.0]], np.float32))
    frame = reply_frame(task, schema, answers)
    assert frame.columns == ["prediction", "quantile_0.5", "quantile_0.999999", "quantile_0.9999999"]
    found = reply_objects(task, schema, answers, rows.head(2))
    assert [list(one["quantiles"].values()) for one in found] == [list(row)[1:] for row in frame.rows()]
    assert list(found[0]["quantiles"]) == reply_schema(task, schema)["properties"]["quantiles"]["required"]
