"""Members of an ensemble that several processes train."""

from pathlib import Path

import numpy as np
import pytest

from danlu.base.runs import Run
from danlu.design import design, outputs
from danlu.launch import train
from tests.small import prepared, recipe


@pytest.mark.slow
def test_members_are_trained_by_workers_each_in_its_own_folder(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "sold", ("x", "city"))
    found = []
    for launch in ({"engine": "inline"}, {"engine": "torchrun", "workers": 2}):
        asked = recipe(train={"epochs": 2, "batch_size": 16, "ensemble": {"seeds": 2}}, launch=launch)
        folder = tmp_path / launch["engine"]
        trained = train(asked, design(asked, data.schema), data, Run(folder))
        assert all((folder / f"train/member-{number}/history.jsonl").is_file() for number in (1, 2))
        found.append(outputs(trained.network, data.split("test").inputs))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
