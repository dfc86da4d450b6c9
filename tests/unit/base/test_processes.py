"""Whether a process is still there."""

import json
import os
import subprocess
import sys

from danlu.base.processes import here, is_alive


def test_this_process_is_alive() -> None:
    assert here()["pid"] == os.getpid()
    assert is_alive(here()) is True


def test_one_that_has_ended_is_not() -> None:
    code = "import json; from danlu.base.processes import here; print(json.dumps(here()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert is_alive(json.loads(done.stdout)) is False


def test_one_that_was_killed_and_not_yet_waited_for_is_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    told = {**here(), "pid": child.pid, "born": 0}
    assert is_alive(told) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(told) is False
    child.wait()


def test_a_number_that_another_process_has_now_is_not_taken_for_it() -> None:
    born = here()["born"]
    assert is_alive({**here(), "born": born - 1}) is (not born)


def test_of_another_machine_nothing_is_known() -> None:
    assert is_alive({**here(), "host": "elsewhere"}) is None
