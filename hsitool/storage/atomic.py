"""Outputs that appear only when they are complete.

An output is written into a hidden folder beside its target, flushed and renamed. The folder holds
a lock while its writer lives, so leftovers of a killed run can be told from a running neighbour's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from hsitool.errors import DataError, UsageError

SUFFIX = ".hsitool-part"
LOCK = "lock"
SPARE_BYTES = 2**17
ABANDONED_SECONDS = 60
"""A folder without a lock is taken for a leftover after this time."""


class PartFolder:
    """A hidden, locked folder beside an output; what is in it takes its place on `commit`."""

    def __init__(self, target: Path) -> None:
        self.target = target
        remove_leftovers(target.parent)
        self.path = target.parent / f".{target.name[:150]}.{secrets.token_hex(4)}{SUFFIX}"
        self._lock, self._waits = -1, False
        try:
            with told_of(target):
                self.path.mkdir()
                self._lock = os.open(self.path / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL)
                _lock(self._lock)
                (self.path / "new").rename(self.path / LOCK)
        except BaseException:
            self.discard()
            raise

    def commit(self, outputs: Iterable[tuple[Path, Path]], stale: Iterable[Path] = ()) -> None:
        """Flush (part, target) pairs, then let them take their names, in this order.

        `stale` files (sidecars of the former output) are put away first, and put back if the
        first target cannot be replaced.

        Raises:
            DataError: the disk is full or fails.
        """
        pairs = list(outputs)
        for part, target in pairs:
            with told_of(target):
                _flush(part)
        later = _postponed.get()
        if later is not None and later.waits(self.target):
            later.add(self, pairs, list(stale))
            self._waits = True
            return
        self.appear(pairs, stale)

    def appear(self, pairs: list[tuple[Path, Path]], stale: Iterable[Path]) -> None:
        """Let flushed (part, target) pairs take their names, as `commit`."""
        self._waits = False
        with undisturbed():
            with self._put_away(path for path in stale if path.is_file()):
                _rename(*pairs[0])
            for part, target in pairs[1:]:
                _rename(part, target)
        self.discard()

    @contextmanager
    def _put_away(self, stale: Iterable[Path]) -> Iterator[None]:
        """Move files into the folder, and back to their places on an error."""
        moved: list[tuple[Path, Path]] = []
        try:
            for path in stale:
                place = self.path / f"stale{len(moved)}"
                _rename(path, place)
                moved.append((place, path))
            yield
        except DataError:
            for place, path in moved:
                place.rename(path)
            raise

    def require_room(self) -> None:
        """Fail where the disk has just become full, by its size or by a quota.

        Raises:
            DataError: not even `SPARE_BYTES` more can be written.
        """
        with told_of(self.target):
            fd = os.open(self.path / "spare", os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(fd, 0, SPARE_BYTES)
            finally:
                os.close(fd)
            (self.path / "spare").unlink()

    def forsake(self) -> None:
        """Give up the name that it waited for."""
        self._waits = False
        self.discard()

    def discard(self) -> None:
        """Remove the folder and all that is still in it; not while it waits to take its name."""
        if self._waits:
            return
        with undisturbed():
            shutil.rmtree(self.path, ignore_errors=True)
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1


class Postponed:
    """Outputs that are complete and will appear together, or none of them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[PartFolder, list[tuple[Path, Path]], list[Path]]] = []
        self._guard = threading.Lock()
        self._at_once: set[Path] = set()

    def except_in(self, folder: Path) -> None:
        """What is written into this folder need not wait."""
        with self._guard:
            self._at_once.add(folder)

    def waits(self, target: Path) -> bool:
        """Whether an output has to wait."""
        return target.parent not in self._at_once

    def add(self, folder: PartFolder, pairs: list[tuple[Path, Path]], stale: list[Path]) -> None:
        """Take in one output.

        Raises:
            UsageError: another one has its name.
        """
        with self._guard:
            taken = {target for _, others, _ in self._waiting for _, target in others}
            for _, target in pairs:
                if target in taken:
                    raise UsageError(f"two outputs would be written to {target}: name each apart")
            self._waiting.append((folder, pairs, stale))

    def appear(self) -> None:
        """Let all take their names.

        Raises:
            DataError: one cannot be written.
        """
        with undisturbed():
            while self._waiting:
                folder, pairs, stale = self._waiting[0]
                folder.appear(pairs, stale)
                self._waiting.pop(0)

    def discard(self) -> None:
        """Leave nothing of those that have not appeared."""
        with undisturbed():
            for folder, _, _ in self._waiting:
                folder.forsake()
            self._waiting.clear()


_postponed: ContextVar[Postponed | None] = ContextVar("postponed", default=None)


@contextmanager
def appearing(later: Postponed) -> Iterator[None]:
    """Outputs that are complete wait until `later` lets them appear."""
    token = _postponed.set(later)
    try:
        yield
    finally:
        _postponed.reset(token)


def postponed() -> Postponed | None:
    """What outputs wait for before they appear, if for anything."""
    return _postponed.get()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end the process wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only
        return
    waiting: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {n: h for n in numbers if callable(h := signal.getsignal(n))}
    try:
        for number in former:
            signal.signal(number, lambda arrived, _: waiting.append(arrived))
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for late in waiting:
            signal.raise_signal(late)


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _rename(part: Path, target: Path) -> None:
    with told_of(target):
        part.replace(target)


@contextmanager
def told_of(target: Path) -> Iterator[None]:
    """Turn what the system refuses into one line about `target`."""
    try:
        yield
    except OSError as error:
        raise write_error(target, error) from error


def write_error(target: Path, error: OSError) -> DataError:
    """The one line for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"{target}: no space left on the disk: nothing was written")
    return DataError(f"{target}: cannot be written: {error.strerror or error}")


def refuse_existing(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse outputs that exist, unless they may be overwritten.

    Raises:
        UsageError: one exists, is no plain file, or its folder is missing.
    """
    for path in paths:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a plain file: choose another name")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists: choose another name or add --overwrite")
        if not path.parent.is_dir():
            raise UsageError(f"the folder of {path} does not exist: make it first")


def remove_leftovers(folder: Path) -> None:
    """Remove the hidden folders that killed runs left; living writers hold their lock."""
    for path in _part_folders(folder):
        if not path.is_dir() or path.is_symlink():
            continue
        try:
            lock = os.open(path / LOCK, os.O_RDWR)
        except FileNotFoundError:
            with suppress(FileNotFoundError):  # its owner was faster
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
            continue
        except OSError:
            continue  # another user's: not ours to touch
        try:
            if _lock(lock):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def is_unfinished(target: Path) -> bool:
    """Whether a killed run has left the hidden folder of an output beside it."""
    target = Path(os.path.realpath(target))
    start = f".{target.name[:150]}."
    return any(path.name.startswith(start) for path in _part_folders(target.parent))


def _part_folders(folder: Path) -> list[Path]:
    """The hidden folders of outputs; a listing is faster than a pattern among many scenes."""
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208
    return [folder / name for name in names if name.endswith(SUFFIX)]


def require_space(target: Path, nbytes: int) -> None:
    """Fail before the work when `nbytes` cannot fit.

    Raises:
        DataError: the file system of `target` has less room.
    """
    room = os.statvfs(target.parent)
    if (free := room.f_bavail * room.f_frsize) < nbytes:
        raise DataError(
            f"{target}: no space left on the disk: "
            f"{nbytes / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free"
        )


def _lock(fd: int) -> bool:
    """Take the lock without waiting; False where another process holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
