"""Nothing tells whether an account has factors before the password was right: not the answer, and not the statements.

Accounts differ in what they have, and in whether they exist at all. A stranger sends a wrong password at every entry
point. With the right password the statements are the same until it is verified.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.accounts.steps import seen
from tests.browsers import DEVICE, copy_of, login, new_browser, post
from tests.factories import PASSWORD, User, UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create
from tests.factors.steps import code, set_up
from tests.hashers import CheapArgon2
from tokens.models import Device

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

WRONG = "a wrong password that is long enough"
VALUE = re.compile(r"'[^']*'(?:::\w+)?|\bNULL\b|\b\d+(?:\.\d+)?\b")
CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"')


def bare(clock: Any) -> Any:
    return UserFactory(is_staff=True)


def having(begin: Callable[[Client, Any], Any], **fields: Any) -> Callable[[Any], Any]:
    """Return a function that makes a user who sets something up, and whose account gets these values then."""

    def make(clock: Any) -> Any:
        user, browser = bare(clock), new_browser()
        login(browser, user)
        begin(browser, clock)
        User.objects.filter(pk=user.pk).update(is_staff=True, **fields)
        return user

    return make


def an_app(browser: Client, clock: Any) -> tuple[str, list[str]]:
    return set_up(browser, clock.now)


with_app = having(an_app)
ACCOUNTS: dict[str, Callable[[Any], Any]] = {
    "no account": lambda clock: UserFactory.build(),
    "nothing": bare,
    "an app that is begun": having(lambda browser, clock: post(browser, "/api/auth/factors/totp")),
    "an app": with_app,
    "a passkey": having(lambda browser, clock: create(browser, Authenticator())),
    "an app and no password": having(an_app, password="!"),
    "an app, and is inactive": having(an_app, is_active=False),
}


def by_api(browser: Client, email: str, password: str) -> Any:
    return post(browser, "/api/auth/login", {"email": email, "password": password})


def by_page(path: str) -> Callable[[Client, str, str], Any]:
    return lambda browser, email, password: browser.post(path, {"username": email, "password": password})


ENTRY_POINTS = {"the API": by_api, "the page": by_page("/sign-in"), "the admin": by_page("/admin/login/")}
each_entry_point = pytest.mark.parametrize("entry_point", ENTRY_POINTS.values(), ids=ENTRY_POINTS)


def shape(asked: CaptureQueriesContext) -> list[str]:
    """Return the statements without their values, which name the account or a random id."""
    return [VALUE.sub("?", each["sql"]) for each in asked.captured_queries]


@each_entry_point
@pytest.mark.parametrize("has_device", [False, True], ids=["without a device", "from a known device"])
def test_a_wrong_password_has_one_answer_and_the_same_statements(entry_point, has_device, clock, hashed):
    stranger = new_browser()
    login(stranger, UserFactory())
    found: list[Any] = []
    for make in ACCOUNTS.values():
        email = make(clock).email
        browser = copy_of(stranger, DEVICE) if has_device else new_browser()
        hashed.clear()
        with CaptureQueriesContext(connection) as asked:
            answer = entry_point(browser, email, WRONG)
        status, content, headers, cookies = seen(answer)
        content = CSRF.sub(b"", content).replace(email.encode(), b"")
        headers = [each for each in headers if each[0] != "Content-Length"]
        found.append((status, content, headers, cookies, shape(asked), len(hashed)))
    for name, other in zip(ACCOUNTS, found, strict=True):
        assert other == found[0], name
    assert not [sql for sql in found[0][4] if "factors_" in sql]


@each_entry_point
def test_the_right_password_reads_no_factor_until_it_is_verified(entry_point, clock, monkeypatch):
    verify, before = CheapArgon2.verify, []

    def noting(*args: Any, **named: Any) -> Any:
        before.append(len(asked))
        return verify(*args, **named)

    users = [make(clock) for make in (bare, with_app)]
    monkeypatch.setattr(CheapArgon2, "verify", noting)
    found = []
    for user in users:
        before.clear()
        with CaptureQueriesContext(connection) as asked:
            entry_point(new_browser(), user.email, PASSWORD)
        found.append(shape(asked)[: before[0]])
        assert len(before) == 1
        assert len(asked) > before[0]
    assert found[0] == found[1]
    assert not [sql for sql in found[1] if "factors_" in sql or "trusted_until" in sql]


def test_a_trusted_device_tells_nothing_to_whoever_does_not_know_the_password(clock):
    """The stranger has a copy of the cookie of a trusted device, and of one that is not."""
    user, browser = UserFactory(), new_browser()
    login(browser, user)
    secret, _ = set_up(browser, clock.now)
    cookies = [browser.cookies[DEVICE].value]
    for trusts in (True, False):
        clock.forward(60)
        browser = new_browser()
        by_api(browser, user.email, PASSWORD)
        given = {"method": "totp", "answer": code(secret, clock.now), "trust_device": trusts}
        assert post(browser, "/api/auth/factor", given).status_code == 200
        cookies.append(browser.cookies[DEVICE].value)
    assert Device.objects.filter(trusted_until__isnull=False).count() == 1
    found = []
    for cookie in cookies:
        with CaptureQueriesContext(connection) as asked:
            answer = by_api(new_browser({DEVICE: cookie}), user.email, WRONG)
        found.append((seen(answer), shape(asked)))
    assert found[0] == found[1] == found[2]
