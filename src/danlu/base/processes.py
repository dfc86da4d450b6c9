"""Whether the process that wrote a file is still there."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def here() -> dict[str, Any]:
    """This process: `host`, `pid` and `born`, the moment the system gives for its start (0 where it gives none)."""
    return {"host": platform.node(), "pid": os.getpid(), "born": _born(os.getpid())}


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Whether a process that `here` told of still runs; None where it ran on another machine."""
    if process.get("host") != platform.node():
        return None
    pid = int(process["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    born = _born(pid)
    # A number is given again to another process after a while: that one was born later.
    return _state(pid) != "Z" and (not born or not process.get("born") or born == process["born"])


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; none where there is no such file."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return next(iter(_fields(pid)), "")


def _born(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0
