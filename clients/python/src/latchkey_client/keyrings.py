"""A store in the keyring of the operating system. It needs the extra ``keyring`` of this package."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import keyring
from keyring.errors import KeyringError, PasswordDeleteError

from latchkey_client.errors import StoreFailed
from latchkey_client.stores import file_lock
from latchkey_client.tokens import Tokens, parse


class KeyringStore:
    """Keeps the tokens in the keyring of the user who runs the program.

    ``service``, ``account``: the names of the entry. ``lock_file``: a file without content, by which processes wait for
    each other. A keyring has no lock of its own.
    """

    def __init__(self, service: str, account: str, lock_file: str | os.PathLike[str]) -> None:
        self.service, self.account, self._lock_file = service, account, Path(lock_file).absolute()

    def __repr__(self) -> str:
        return f"KeyringStore({self.service!r}, {self.account!r})"

    def locked(self) -> AbstractContextManager[object]:
        return file_lock(self._lock_file)

    def load(self) -> Tokens | None:
        try:
            text = keyring.get_password(self.service, self.account)
            return None if text is None else parse(text)
        except (KeyringError, ValueError) as error:
            raise StoreFailed(f"The keyring cannot be read: {type(error).__name__}.") from None

    def save(self, tokens: Tokens) -> None:
        try:
            keyring.set_password(self.service, self.account, tokens.as_text())
        except KeyringError as error:
            raise StoreFailed(f"The keyring cannot be written: {type(error).__name__}.") from None

    def clear(self) -> None:
        try:
            keyring.delete_password(self.service, self.account)
        except PasswordDeleteError:
            if self.load() is not None:
                raise StoreFailed("The entry cannot be removed from the keyring.") from None
        except KeyringError as error:
            raise StoreFailed(f"The keyring cannot be written: {type(error).__name__}.") from None
