"""Work in processes: the same results as without, few at a time, and nobody left behind."""

import math
import os
import signal
import subprocess
import sys

import pytest

from ser.core.errors import UserError
from ser.core.processes import in_processes


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_do_not_depend_on_the_number_of_processes(jobs):
    assert sorted(in_processes(math.factorial, range(20), jobs, "counts")) == [
        math.factorial(n) for n in range(20)
    ]


def test_items_are_taken_as_they_are_needed():
    taken = []
    items = (taken.append(n) or n for n in range(1000))
    results = in_processes(math.factorial, items, 2, "counts")
    next(results)
    assert len(taken) < 20
    results.close()


def test_an_error_of_the_work_is_the_callers():
    with pytest.raises(ValueError, match="factorial"):
        list(in_processes(math.factorial, [1, -1, 2], 2, "counts"))


def test_a_process_that_is_killed_is_told():
    with pytest.raises(UserError, match="a process that counts was killed"):
        list(in_processes(os._exit, [9], 2, "counts"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_it_is_killed(how):
    program = (
        "import time; from ser.core.processes import in_processes\n"
        "for _ in in_processes(time.sleep, [0, 30, 30, 30], 2, 'sleeps'): print('at work', flush=True)"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout.readline() == "at work\n"
        process.send_signal(how)
        process.stdout.read()  # ends when nobody holds it any more
        assert process.wait(timeout=10) == -how
