"""Work for the tests of the process pool, which has to be imported by its processes."""

from __future__ import annotations

import os
import signal
import time

from hsitool.errors import DataError


def late_or_not(number: int) -> int:
    time.sleep(0.05 if number % 2 == 0 else 0)
    return number * number


def fails(number: int) -> int:
    if number == 3:
        raise DataError("3 is wrong")
    return number


def dies(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def pid_of(_: int) -> int:
    return os.getpid()
