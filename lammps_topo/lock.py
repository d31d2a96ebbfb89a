"""One program at a time writes to a name: NAME.topo.lock beside NAME.topo.h5, held while a measurement lasts.

The lock is the kernel's (flock), not the file: it ends with its process, however that ends, and what a killed run
leaves behind keeps nobody out. The text in the file is for people: who holds it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from .errors import ConfigError, FileError
from .store import check_writable
from .stream.communicator import Communicator

#: What flock says where a file system cannot lock (some network file systems).
_CANNOT = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_BUSY = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
_LONGEST = 200


class Taken(FileError):
    """Another measurement writes there; ``own`` if it is one of this process."""

    def __init__(self, message: str, own: bool) -> None:
        super().__init__(message)
        self.own = own


def claim(comm: Communicator, results: Path, notices: list[str]) -> Lock | None:
    """The lock of ``results``, which rank 0 holds for all; ConfigError if there is none to be had. Collective."""
    lock, problem = None, None
    if comm.rank == 0:
        try:
            problem = check_writable(results)
            lock = None if problem else Lock(results)
        except Taken as error:
            own = f"another fix writes to '{results}'; give each fix an output of its own"
            problem = own if error.own else str(error)
        except FileError as error:
            problem = str(error)
    if problem := comm.share(problem):
        raise ConfigError(f"key 'output': {problem}")
    if lock is not None and lock.notice is not None:
        notices.append(lock.notice)
    return lock


def lock_path(results: Path) -> Path:
    """The lock of a results file: NAME.topo.h5 has NAME.topo.lock."""
    return results.with_name(results.name.removesuffix(".h5") + ".lock")


class Lock:
    """The right to write to ``results`` and its states, until :meth:`release` or the end of the process.

    Attributes
    ----------
    notice : why nothing is locked, where the file system cannot; else None

    Raises
    ------
    Taken
        Somebody else has it: one sentence on who.
    FileError
        The file of the lock cannot be made.
    """

    def __init__(self, results: Path) -> None:
        self.path = lock_path(results.absolute())
        self.notice: str | None = None
        self._handle: int | None = None
        self._owner = os.getpid()
        while self._handle is None and self.notice is None:
            self._try(results)

    def _try(self, results: Path) -> None:
        """Take the lock; without effect if its file was removed meanwhile."""
        try:
            # not through a link: the text must not go into somebody else's file
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise FileError(f"the lock '{self.path.name}' of '{results}' cannot be made: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(handle)
            os.close(handle)
            if error.errno in _BUSY:
                raise Taken(f"another program writes to '{results}' ({holder})", _is_own(holder)) from None
            if error.errno not in _CANNOT:
                raise FileError(f"'{results}' cannot be locked: {error.strerror}") from None
            self.notice = (
                f"WARNING: the file system cannot lock '{results}' ({error.strerror}): make sure that no other program "
                "writes to it"
            )
            return
        if not _is_there(handle, self.path):
            os.close(handle)
            return
        self._handle = handle
        with suppress(OSError):  # a full disk: the lock holds, only its text is missing
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{_me()}, since {datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)

    def release(self) -> None:
        """Give the name free, and remove the file."""
        if self._handle is None:
            return
        with suppress(OSError):
            if _is_there(self._handle, self.path):
                self.path.unlink()
        os.close(self._handle)
        self._handle = None

    def __del__(self) -> None:
        # a child that was forked must leave the file to its parent
        with suppress(Exception):
            if self._owner == os.getpid():
                self.release()


def _is_there(handle: int, path: Path) -> bool:
    """Whether the open file is still the one under this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _me() -> str:
    return f"process {os.getpid()} on {platform.node() or 'an unnamed host'}"


def _is_own(holder: str) -> bool:
    return holder.startswith(f"{_me()}, ") or holder == _me()


def _holder(handle: int) -> str:
    """Who wrote the text: printable characters only, for it goes into a sentence."""
    with suppress(OSError):
        text = os.pread(handle, _LONGEST, 0).decode(errors="replace").strip()
        if text:
            return "".join(letter if letter.isprintable() else " " for letter in text)
    return "it does not say which"
