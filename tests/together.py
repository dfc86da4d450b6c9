"""Several workers for a test, forked from this process: none of them has to import torch again."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from danlu.launch.processes import Processes

Work = Callable[[Processes], None]


def together(count: int, work: Work, store: Path, *, sharded: bool = False) -> list[int]:
    """Let so many workers do the same work.

    Args:
        count: how many.
        work: called in each process.
        store: a file that is not there yet, by which they find each other.
        sharded: whether they share out the weights.

    Returns:
        The exit code of each: 0, 1 where it raised an exception, or what it left with.
    """
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_one, args=(rank, count, work, store, sharded)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        if process.exitcode is None:
            process.kill()
            process.join()
    return [process.exitcode or 0 for process in processes]


def _one(rank: int, count: int, work: Work, store: Path, sharded: bool) -> None:
    from torch import distributed

    code = 1
    try:
        torch.set_num_threads(1)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        distributed.init_process_group(
            "gloo", store=distributed.FileStore(str(store), count), rank=rank, world_size=count
        )
        work(Processes("cpu", sharded=sharded))
        distributed.destroy_process_group()
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)  # the tests' own ending is not this process's
