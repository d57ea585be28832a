"""Where the tokens lie between two runs of a program: in memory, in a file, or where a class of yours puts them."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from latchkey_client.errors import StoreFailed
from latchkey_client.tokens import Tokens, parse

PATIENCE = 60.0
"""Seconds for which a process waits for another one that uses the store."""
OWN = stat.S_IRUSR | stat.S_IWUSR
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Store(Protocol):
    """Keeps the tokens of one session. Each method may raise `StoreFailed`.

    `save` has to return only when the tokens would survive the end of the process. They are used after that, so that a
    token that the server has seen in use is never lost.
    """

    def locked(self) -> AbstractContextManager[object]:
        """Return a context manager. While it is entered, no other process reads or changes the store."""

    def load(self) -> Tokens | None:
        """Return the tokens, or None if there are none."""

    def save(self, tokens: Tokens) -> None:
        """Replace the tokens. Another process finds either the old ones or the new ones."""

    def clear(self) -> None:
        """Remove the tokens. Removing them twice is no error."""


class MemoryStore:
    """Keeps the tokens in this process only."""

    def __init__(self) -> None:
        self._tokens: Tokens | None = None

    def __repr__(self) -> str:
        return "MemoryStore()"

    def locked(self) -> AbstractContextManager[object]:
        return nullcontext()

    def load(self) -> Tokens | None:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def clear(self) -> None:
        self._tokens = None


class FileStore:
    """Keeps the tokens in a file that only its owner can read, and that several processes may share.

    ``path``: the file. Its folder is made if it is missing. Beside it are a lock (``….lock``) and, for a moment, the
    file that replaces it (``….new``). The next use removes that file if the process has died meanwhile. A file that
    others could read or have written is refused.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._new = self.path.with_name(f"{self.path.name}.new")

    def __repr__(self) -> str:
        return f"FileStore({str(self.path)!r})"

    def locked(self) -> AbstractContextManager[object]:
        return file_lock(self.path.with_name(f"{self.path.name}.lock"))

    def load(self) -> Tokens | None:
        try:
            with open(self.path, "rb") as file:
                _check_owner(os.fstat(file.fileno()), self.path)
                return parse(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreFailed(f"{self.path} cannot be read: {_reason(error)}") from None

    def save(self, tokens: Tokens) -> None:
        try:
            _make_folder(self.path.parent)
            self._new.unlink(missing_ok=True)  # Of a process that has died here. This one has the lock.
            with open(os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWN), "w", encoding="utf-8") as file:
                file.write(tokens.as_text())
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._new, self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                self._new.unlink()
            raise StoreFailed(f"{self.path} cannot be written: {_reason(error)}") from None

    def clear(self) -> None:
        try:
            for path in (self._new, self.path):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailed(f"{self.path} cannot be removed: {_reason(error)}") from None


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock in this file, which all processes share. Raise `StoreFailed` after `PATIENCE` seconds."""
    lock = FileLock(path, timeout=PATIENCE, mode=OWN)
    try:
        _make_folder(path.parent)
        lock.acquire()
    except Timeout:
        raise StoreFailed(f"Another process has held {path} for {PATIENCE:g} seconds.") from None
    except OSError as error:
        raise StoreFailed(f"{path} cannot be locked: {_reason(error)}") from None
    try:
        yield
    finally:
        lock.release()


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)


def _check_owner(found: os.stat_result, path: Path) -> None:
    """Raise `StoreFailed` if somebody else can read the file, or may have written it. Windows has no such mode."""
    if sys.platform == "win32":
        return
    if found.st_mode & _OF_OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise StoreFailed(f"{path} has mode {mode:04o}, so others can read the tokens. Make it 0600, or sign in again.")
    if found.st_uid != os.geteuid():
        raise StoreFailed(f"{path} belongs to another user.")


def _sync_folder(folder: Path) -> None:
    """Wait until the new name of a file has reached the disk. Windows cannot open a folder."""
    if sys.platform == "win32":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
