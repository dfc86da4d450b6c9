"""What a report says of a training."""

from danlu.evaluate.parts import ReportParts
from danlu.evaluate.training_views import training_blocks
from danlu.evaluate.views import audit_blocks

HISTORY = [{"epoch": 0, "loss": 1.0, "validation_loss": 1.1, "lr": 0.01}]


def blocks(**parts: object) -> list[dict[str, object]]:
    return training_blocks(ReportParts(history=HISTORY, **parts), audit_blocks)  # type: ignore[arg-type]


def test_the_range_test_is_drawn_with_the_step_size_that_was_taken() -> None:
    curve = [[10.0 ** (place / 2 - 6), 1.0, 1.0 - place / 20] for place in range(10)]
    record = {"lr": 1e-3, "found": True, "curve": curve}
    (*_, charts) = blocks(range_test=record, training={"facts": {"lr": 1e-3}, "best_epoch": 0})
    last = charts["charts"][-1]  # type: ignore[index]
    assert last["title"] == "Range test of the learning rate"
    assert ">taken</text>" in last["svg"]
    (*_, charts) = blocks(range_test={**record, "found": False})
    assert ">taken</text>" not in charts["charts"][-1]["svg"]  # type: ignore[index]


def test_without_a_range_test_there_is_no_chart_of_it() -> None:
    (*_, charts) = blocks()
    assert [one["title"] for one in charts["charts"]] == ["Loss", "Learning rate"]  # type: ignore[index]


def test_members_stand_beside_the_ensemble() -> None:
    members = [
        {"member": one, "fold": None, "epochs": 1, "best_epoch": 0, "validation": {"accuracy": 0.5 + one / 10}}
        for one in (1, 2)
    ]
    history = [{"member": one, **HISTORY[0]} for one in (1, 2)]
    scores = {
        "main": "accuracy",
        "members": [{"accuracy": 0.61}, {"accuracy": 0.62}],
        "metrics": {"test": {"accuracy": {"value": 0.75}}},
    }
    record = {"by": "seeds", "members": members, "validation": {"accuracy": 0.8}}
    parts = ReportParts(history=history, ensemble=record, scores=scores)
    (_, table, charts) = training_blocks(parts, audit_blocks)
    texts = [[one if isinstance(one, str) else one["text"] for one in row] for row in table["rows"]]
    assert [row[-1] for row in texts] == ["0.610", "0.620", "0.750"]
    assert texts[-1][0] == "All together"
    assert charts["charts"][0]["svg"].count("<circle") == 2
