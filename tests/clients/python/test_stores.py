"""Where the tokens lie: who can read the file, what is refused, and a keyring. They do not import Django."""

import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from latchkey_client import FileStore, MemoryStore, StoreFailed, Tokens, stores
from latchkey_client.keyrings import KeyringStore
from tests.clients.projects import clean_environment, installed_wheel
from tests.programs import built_wheel, completed

CLIENT = Path(__file__).parents[3] / "clients" / "python"
OLD, NEW = (Tokens(refresh_token=f"{name} token", access_token="access", expires_at=5.0) for name in ("old", "new"))


class Keyring(KeyringBackend):
    """A keyring in memory. ``locked``: every use fails, as before a user has unlocked it."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("no such entry")

    def _check(self) -> None:
        if self.locked:
            raise KeyringLocked("locked")


@pytest.fixture
def backend() -> Any:
    """A keyring in memory. In the developer's own, what an earlier test run has left could hide a mistake."""
    before, found = keyring.get_keyring(), Keyring()
    keyring.set_keyring(found)
    yield found
    keyring.set_keyring(before)


@pytest.fixture(params=["memory", "file", "keyring"])
def store(request: pytest.FixtureRequest, tmp_path: Path, backend: Keyring) -> Any:
    """Each kind of store. With one of them, a store that loses or keeps what it should not would go unnoticed."""
    match request.param:
        case "memory":
            return MemoryStore()
        case "file":
            return FileStore(tmp_path / "a" / "b" / "tokens.json")
        case _:
            return KeyringStore("a service", "an account", tmp_path / "keyring.lock")


def test_a_store_keeps_the_last_tokens_until_they_are_removed(store):
    with store.locked():
        assert store.load() is None
        for tokens in (OLD, NEW):
            store.save(tokens)
            assert store.load() == tokens
        for _ in range(2):
            store.clear()
            assert store.load() is None


def test_only_the_owner_can_read_the_file_and_its_folder(tmp_path):
    path = tmp_path / "own" / "tokens.json"
    store = FileStore(path)
    with store.locked():
        store.save(OLD)
        store.save(NEW)
    modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert modes == {"tokens.json": 0o600, "tokens.json.lock": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601], ids="mode {:o}".format)
def test_a_file_that_others_can_read_is_refused_with_the_remedy(mode, tmp_path):
    store = FileStore(tmp_path / "tokens.json")
    store.save(OLD)
    store.path.chmod(mode)
    with pytest.raises(StoreFailed, match=f"has mode {mode:04o}.* Make it 0600"):
        store.load()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "old token", "[" * 200_000, '{"x": "old token"}'],
    ids=["an empty file", "a list", "a text", "deeply nested", "another object"],
)
def test_a_file_that_is_not_ours_is_refused_without_its_content(text, tmp_path):
    store = FileStore(tmp_path / "tokens.json")
    store.save(OLD)
    store.path.write_text(text)
    with pytest.raises(StoreFailed, match="cannot be read: not the tokens of a session") as raised:
        store.load()
    assert "old token" not in "".join(traceback.format_exception(raised.value))


def test_a_write_that_fails_leaves_the_old_tokens_and_nothing_else(tmp_path, monkeypatch):
    store = FileStore(tmp_path / "tokens.json")
    store.save(OLD)

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stores.os, "fsync", fail)
        with pytest.raises(StoreFailed, match="cannot be written: No space left on device"):
            store.save(NEW)
    assert (store.load(), [one.name for one in tmp_path.iterdir()]) == (OLD, ["tokens.json"])


@pytest.mark.parametrize("do", ["save", "clear"])
def test_what_a_process_that_died_has_left_is_removed_by_the_next(do, tmp_path):
    program = (
        "import os, sys\n"
        "from latchkey_client import FileStore, Tokens\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "FileStore(sys.argv[1]).save(Tokens(refresh_token='the next token'))\n"
    )
    store = FileStore(tmp_path / "tokens.json")
    store.save(OLD)
    environment = clean_environment(PYTHONPATH=str(CLIENT / "src"))
    assert subprocess.run([sys.executable, "-c", program, store.path], env=environment).returncode == 9
    assert (store.load(), len(list(tmp_path.iterdir()))) == (OLD, 2)
    store.save(NEW) if do == "save" else store.clear()
    assert [one.name for one in tmp_path.iterdir()] == (["tokens.json"] if do == "save" else [])


@pytest.mark.parametrize("do", ["locked", "save", "load", "clear"])
def test_a_path_that_cannot_be_used_is_an_error_of_the_store(do, tmp_path):
    (tmp_path / "a file").write_text("")
    store = FileStore(tmp_path / "a file" / "tokens.json")
    uses = {
        "locked": lambda: store.locked().__enter__(),
        "save": lambda: store.save(OLD),
        "load": store.load,
        "clear": store.clear,
    }
    with pytest.raises(StoreFailed, match=r"Not a directory|File exists"):
        uses[do]()


def test_another_holder_of_the_lock_is_waited_for_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "PATIENCE", 0.01)
    store = FileStore(tmp_path / "tokens.json")
    with store.locked(), pytest.raises(StoreFailed, match=r"tokens\.json\.lock"), FileStore(store.path).locked():
        pass


def test_a_locked_keyring_is_an_error_of_the_store(backend, tmp_path):
    store = KeyringStore("a service", "an account", tmp_path / "keyring.lock")
    backend.locked = True
    for do in (store.load, store.clear, lambda: store.save(OLD)):
        with pytest.raises(StoreFailed, match="KeyringLocked"):
            do()
    assert (str(OLD.refresh_token) in f"{store!r}{OLD!r}") is False


def test_the_wheel_has_only_the_package_and_imports_no_django(tmp_path):
    wheel = built_wheel(tmp_path, CLIENT)
    python, packages = installed_wheel(wheel, tmp_path / "venv")
    assert {one.name for one in packages.glob("*latchkey*")} == {
        "latchkey_client",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    assert (packages / "latchkey_client" / "py.typed").exists()
    code = (
        "import sys, latchkey_client, latchkey_client.keyrings as k; "
        "print(k.__file__, sorted({'django', 'rest_framework', 'tokens'} & set(sys.modules)))"
    )
    done = completed(python, "-c", code, cwd=tmp_path, env=clean_environment())
    assert done.stdout.split() == [str(packages / "latchkey_client" / "keyrings.py"), "[]"], done.stderr
