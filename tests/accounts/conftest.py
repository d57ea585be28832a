"""Fixtures for accounts: mail that is there at once, and what came by it."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from accounts import mail
from tests.hashers import CheapArgon2


class AtOnce:
    """Stands for the pool of threads: a mail is delivered before the test goes on."""

    def submit(self, job: Callable[..., Any], *args: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(job(*args))
        return done


@pytest.fixture(autouse=True)
def _mail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a mailbox empty, or another test's mail in it, because a thread was slow."""
    monkeypatch.setattr(mail, "_pool", AtOnce())


@pytest.fixture
def token_in(mailoutbox: list[Any]) -> Callable[[str], str]:
    """Returns the token of the link in the latest mail to an address."""

    def find(address: str) -> str:
        latest = [message for message in mailoutbox if message.to == [address]][-1]
        found = re.search(r"\?token=(\S+)", latest.body)
        assert found, latest.body
        return found[1]

    return find


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the password hasher was asked to do, in order: the work that a stranger could time."""
    work: list[str] = []
    encode, verify = CheapArgon2.encode, CheapArgon2.verify

    def counted_encode(self: Any, *args: Any, **options: Any) -> Any:
        work.append("encode")
        return encode(self, *args, **options)

    def counted_verify(self: Any, *args: Any, **options: Any) -> Any:
        work.append("verify")
        return verify(self, *args, **options)

    monkeypatch.setattr(CheapArgon2, "encode", counted_encode)
    monkeypatch.setattr(CheapArgon2, "verify", counted_verify)
    return work
