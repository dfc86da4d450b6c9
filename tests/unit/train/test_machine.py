"""What is said when a training goes on elsewhere."""

from dataclasses import replace

from danlu.train.stepping.machine import Machine, moved_finding, this_machine

HERE = this_machine("cpu")


def test_this_machine_equals_itself_and_survives_json() -> None:
    assert this_machine("cpu") == HERE == Machine(**HERE.to_json())
    assert HERE.processor
    assert HERE.torch[0].isdigit()
    assert HERE.differences(HERE.to_json()) == []


def test_each_difference_is_named() -> None:
    other = replace(HERE, processor="Z80", torch="0.1", instructions="none")
    assert HERE.differences(other.to_json()) == [f"processor: Z80 → {HERE.processor}", f"torch: 0.1 → {HERE.torch}"]
    assert HERE.differences(replace(HERE, instructions="x").to_json()) == ["the processor's instructions are others"]


def test_a_training_that_moved_is_a_note() -> None:
    stays = [{"count": 0, "machine": HERE.to_json()}]
    assert moved_finding(stays) is None
    found = moved_finding([*stays, {"count": 40, "machine": replace(HERE, torch="9").to_json()}])
    assert found
    assert found.severity == "note"
    assert f"after step 40 (torch: {HERE.torch} → 9)" in found.message
