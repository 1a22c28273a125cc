"""Work divided among processes that end when the one that started them does, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

from ser.core.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, what: str
) -> Iterator[Result]:
    """Results in the order in which they are ready; few items are under way, however many there are.

    Args:
        function: a module's own, since another process is to find it by name.
        items: what it is called with, one at a time; each worth more than the hand-over.
        jobs: processes; with one the work is done in this process.
        what: the work, for the message: ``"a process that <what> was killed"``.

    Raises:
        UserError: when a process is killed.
    """
    if jobs < 2:
        yield from map(function, items)
        return
    items = iter(items)
    with ProcessPoolExecutor(jobs, mp_context=get_context("forkserver"), initializer=_begin) as pool:
        under_way: set[Future[Result]] = {pool.submit(function, item) for item in islice(items, 2 * jobs)}
        try:
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                under_way |= {pool.submit(function, item) for item in islice(items, len(done))}
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            hint = "It may have run out of memory: fewer at once with --nj"
            raise UserError(f"a process that {what} was killed", hint=hint) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end when that ends, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None  # this runs in a child

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
