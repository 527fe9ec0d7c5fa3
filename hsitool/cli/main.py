"""The entry point: one-line errors, exit codes and signals for all verbs."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from types import FrameType

from hsitool.cli.telling import tell, told
from hsitool.errors import HsitoolWarning, PipeClosedError

CLOSED_PIPE = 141
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
STOPS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "terminated: the terminal has gone",
}
"""Signals that ask the process to end; its exit code is then 128 + their number."""

INSIST_SECONDS = 0.02
"""After this time it is seen whether a stop was swallowed on its way up."""


class Stopped(BaseException):
    """One of these signals arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Run the command line and leave with its exit code."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and `&` in scripts set it
            signal.signal(number, _stop)
    for variable in BLAS_THREADS:  # our own threads share the cores; BLAS must not add its own
        os.environ.setdefault(variable, "1")
    _open_streams()
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    warnings.simplefilter("ignore")
    quiet = "-q" in arguments or "--quiet" in arguments
    warnings.simplefilter("ignore" if quiet else "always", HsitoolWarning)
    warnings.showwarning = _warn
    _warned.clear()
    _stops.clear()
    try:
        code = _run(arguments, debug)
        _deaf()  # the work is done or cleared away; a signal would only disturb the last words
    except Stopped as stop:
        _deaf()
        text = f"{STOPS[signal.Signals(stop.number)]}: no unfinished file is left"
        code = _fail(text, 128 + stop.number, debug)
    sys.exit(code)


def _open_streams() -> None:
    """Where the caller closed a stream, what is written to it goes nowhere, and into no file."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
            setattr(sys, name, os.fdopen(fd, "w", closefd=False))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        return _carry_out(arguments, debug)
    except (BrokenPipeError, PipeClosedError):
        # Nobody reads any more; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return CLOSED_PIPE
    except Exception as error:
        if _stops:  # as where NumPy is stopped while it loads, and says that it cannot be loaded
            raise Stopped(_stops[0]) from error
        return _fail(*told(error), debug)


def _carry_out(arguments: list[str], debug: bool) -> int:
    # Imported here, so that a signal that arrives meanwhile ends in one line, too.
    import typer

    from hsitool.cli.verbs import application

    try:
        code = application(arguments)(arguments, prog_name="hsitool", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a verb
            print(error.format_message(), file=sys.stderr)
            return error.exit_code
        return _fail(error.format_message(), error.exit_code, debug)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer's own way to end then
            raise end.__context__ from None
        raise
    except typer.Abort:
        return _fail("aborted", 1, debug)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    tell(f"error: {message}")
    return code


_warned: set[str] = set()


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    if str(message) in _warned:
        return  # as when a cube is looked at for several outputs
    _warned.add(str(message))
    tell(f"warning: {message}")


_stops: list[int] = []


def _stop(number: int, _: FrameType | None) -> None:
    _stops.append(number)
    _deaf()  # once is enough: a second one must not disturb the clearing away
    sys.unraisablehook = _lost
    signal.signal(signal.SIGALRM, lambda *_: _insist(number))
    signal.setitimer(signal.ITIMER_REAL, INSIST_SECONDS, INSIST_SECONDS)
    raise Stopped(number)


def _lost(lost: sys.UnraisableHookArgs) -> None:
    """Say nothing of a stop that Python swallowed, as in a weak reference's callback."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)


def _insist(number: int) -> None:
    """Stop again where the first one was swallowed, as some libraries do while they load."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    if error is None:  # else it is on its way up, and files are being cleared away
        raise Stopped(number)


def _deaf() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in STOPS:
        signal.signal(number, _hear)  # SIG_IGN makes Python complain of a signal on its way


def _hear(_: int, __: FrameType | None) -> None:
    """Do nothing about a signal."""
