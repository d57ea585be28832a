"""Fixtures for accounts: mail without threads, signed-in browsers, and a record of the password hashing."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from django.test import Client

from accounts import mail
from accounts.links import Purpose, make
from tests.accounts.steps import Send, ask, fill_in, sign_in_by_form, who
from tests.browsers import login
from tests.factories import PASSWORD
from tests.hashers import CheapArgon2


class NoThreads:
    """Replaces the thread pool: `submit` returns when the job is done."""

    def submit(self, job: Callable[..., Any], *args: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(job(*args))
        return done


@pytest.fixture(autouse=True)
def _mail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver mail before the request ends. Without it a slow thread could deliver a mail late, or to another test."""
    monkeypatch.setattr(mail, "_pool", NoThreads())


@pytest.fixture(params=[ask, fill_in], ids=["API", "page"])
def send(request: pytest.FixtureRequest) -> Send:
    """Sends data to the API, or fills in the form of the page. A rule that only one of them has would go unnoticed."""
    function: Send = request.param
    return function


@pytest.fixture
def token_in(mailoutbox: list[Any]) -> Callable[[str], str]:
    """Returns the token in the latest mail to an address. With tokens made by tests a wrong link would pass."""

    def find(address: str) -> str:
        latest = [message for message in mailoutbox if message.to == [address]][-1]
        found = re.search(r"\?token=(\S+)", latest.body)
        assert found, latest.body
        return found[1]

    return find


@pytest.fixture
def signed_in(clock: Any, signed_in: Client) -> Client:
    """`signed_in`, while time stands still, in a process that has just read the revocation feed.

    Without it the feed would be read at some later request, and the numbers of statements would differ at random.
    """
    assert who(signed_in) == 200
    return signed_in


@pytest.fixture
def signed_in_by_form(api: Client, user: Any, clock: Any) -> Client:
    """The browser `api`, in which `user` has signed in on the page. Only this way it has Django's session as well.

    Without it a page that relies on Django's session, or leaves it behind, would go unnoticed.
    """
    assert sign_in_by_form(api, user).status_code == 302
    return api


@pytest.fixture(params=["register", "password/change", "password/reset/confirm"])
def set_password(request: pytest.FixtureRequest, send: Send, api: Client, user: Any) -> Callable[[str], Any]:
    """Sets a password in each way that there is. A way that is not listed could ignore the rules for passwords.

    It is the password of `user`, or of a new account with the address new@example.org.
    """
    path = request.param
    if path == "password/change":
        login(api, user)
    name, fields = {
        "register": ("password", {"email": "new@example.org"}),
        "password/change": ("new_password", {"current_password": PASSWORD}),
        "password/reset/confirm": ("password", {"token": make(Purpose.PASSWORD_RESET, user)}),
    }[path]
    return lambda password: send(api, path, fields | {name: password})


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of the password hasher, in order. Without it, hashing only for some accounts would go unnoticed.

    An attacker who measures the time of a response would then learn whether there is an account.
    """
    calls: list[str] = []

    def recorded(name: str) -> Callable[..., Any]:
        original = getattr(CheapArgon2, name)

        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return original(*args, **options)

        return call

    for name in ("encode", "verify"):
        monkeypatch.setattr(CheapArgon2, name, recorded(name))
    return calls
