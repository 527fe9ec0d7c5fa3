"""What a user can get wrong, each with the exit code that the shell sees."""


class HsitoolError(Exception):
    """Base of every error that is told to the user in one line; `exit_code` is the shell's."""

    exit_code = 1


class UsageError(HsitoolError):
    """The command or its options cannot be carried out as given (exit code 2)."""

    exit_code = 2


class DataError(HsitoolError):
    """A file cannot be read or written, or its content cannot serve (exit code 3)."""

    exit_code = 3


class DeviceError(HsitoolError):
    """The GPU that was asked for is not there, or fails (exit code 4)."""

    exit_code = 4


class PipeClosedError(HsitoolError):
    """Nobody reads the output any more; said to nobody (exit code 141)."""

    exit_code = 141


class HsitoolWarning(UserWarning):
    """Something was assumed or left out; told to the user in one line on standard error."""


def printable(text: str) -> str:
    """A text from outside on one line, without characters that a terminal or a page obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
