"""The entry point: one-line errors, exit codes and signals for all verbs."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from types import FrameType

# Our own threads share the cores; BLAS must not start as many again for each of them.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import typer

from hsitool.cli import band, convert, diff, info, smooth, spectrum  # noqa: F401  (they register)
from hsitool.cli.app import app
from hsitool.errors import HsitoolError, HsitoolWarning

INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    warnings.simplefilter("ignore")
    quiet = "-q" in arguments or "--quiet" in arguments
    warnings.simplefilter("ignore" if quiet else "always", HsitoolWarning)
    warnings.showwarning = _warn
    sys.exit(_run(arguments, debug))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        code = app(arguments, prog_name="hsitool", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except HsitoolError as error:
        return _fail(str(error), error.exit_code, debug)
    except typer.TyperException as error:
        return _fail(error.format_message(), error.exit_code, debug)
    except BrokenPipeError:
        # Nobody reads any more; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return CLOSED_PIPE
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted: nothing was written", INTERRUPTED, debug)
    except Terminated:
        return _fail("terminated: nothing was written", TERMINATED, debug)
    except MemoryError:
        return _fail("out of memory: give a smaller --max-memory", 3, debug)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return _fail(f"unexpected {text} (add --debug for the details)", 1, debug)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"hsitool: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"hsitool: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _terminate(_: int, __: FrameType | None) -> None:
    raise Terminated
