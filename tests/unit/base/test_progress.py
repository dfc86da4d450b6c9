import io

import pytest

from danlu.base.progress import Lines, duration, shortened


def test_a_pipe_gets_plain_lines_with_the_time_left() -> None:
    now = [0.0]
    stream = io.StringIO()
    with Lines(stream, every_s=10, clock=lambda: now[0]).task("train", total=100) as task:
        for _ in range(3):
            now[0] += 8
            task.advance(20, "loss 0.5")
    assert stream.getvalue().splitlines() == ["train: 40%, 24 s left · loss 0.5", "train: 24 s · loss 0.5"]


def test_work_done_before_does_not_count_as_speed() -> None:
    now = [0.0]
    stream = io.StringIO()
    with Lines(stream, every_s=1, clock=lambda: now[0]).task("train", total=100, done=80) as task:
        now[0] += 10
        task.advance(10)
    assert stream.getvalue().splitlines()[0] == "train: 90%, 10 s left"


def test_a_note_loses_its_last_parts_where_there_is_no_room() -> None:
    note = "epoch 1/6 · loss 0.48 · 12 rows/s"
    assert shortened(note, 80) == note
    assert shortened(note, 30) == "epoch 1/6 · loss 0.48"
    assert shortened(note, 5) == "epoch 1/6"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.84, "0.8 s"), (42.2, "42 s"), (185, "3 min 5 s"), (7830, "2 h 10 min"), (119.7, "2 min 0 s")],
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
