"""Fixtures for accounts: signed-in browsers, the tokens in mails, and the ways to send data and to set a password."""

import re
from pathlib import Path

import pytest
from django.test import Client

from accounts.links import Purpose, make
from tests.accounts.left_out import FAIL, NOT_RUN, ONLY_WITH_NAMES
from tests.accounts.steps import ask, fill_in, sign_in_by_form, signed_in_by_session, who
from tests.browsers import login
from tests.factories import HAS_NAMES, PASSWORD, UserFactory, link_token, pending

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Leave out what `left_out` lists for the project's user model. What is listed as failing has to fail."""
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        if reason := (NOT_RUN if HAS_NAMES else ONLY_WITH_NAMES).get(item.path.name):
            item.add_marker(pytest.mark.skip(reason=reason))
        test = "::".join([item.path.name, *item.nodeid.partition("[")[0].split("::")[1:]])
        if HAS_NAMES and (reason := FAIL.get(test)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(params=[ask, fill_in], ids=["API", "page"])
def send(request):
    """Sends data to the API, or fills in the form of the page. A rule that only one of them has would go unnoticed."""
    return request.param


@pytest.fixture
def token_in(mailoutbox):
    """Returns the token in the latest mail to an address. With tokens made by tests a wrong link would pass."""

    def find(address) -> str:
        latest = [message for message in mailoutbox if message.to == [address]][-1]
        found = re.search(r"\?token=(\S+)", latest.body)
        assert found, latest.body
        return found[1]

    return find


@pytest.fixture
def signed_in(clock, signed_in) -> Client:
    """`signed_in`, when the revocation feed has been read. A later read would be counted as a statement."""
    assert who(signed_in) == 200
    return signed_in


@pytest.fixture
def signed_in_by_form(api, user, clock) -> Client:
    """The browser `api`, in which `user` has signed in by the form. Only so it also has a session of Django."""
    assert sign_in_by_form(api, user).status_code == 302
    return api


@pytest.fixture
def person(clock):
    """A user without a password. With one, a place that still asks for it would go unnoticed."""
    return UserFactory(password=None)


@pytest.fixture
def browser(person, clock) -> Client:
    """The browser of `person`, some time after the sign-in. Just after it no change would ask for a factor."""
    client = signed_in_by_session(person)
    clock.forward(1000)
    client.get("/api/auth/me")
    return client


@pytest.fixture(params=["register", "email/confirm", "password/change", "password/reset/confirm"])
def set_password(request, send, api, user):
    """Sets the password of `user` or new@example.org, in each way that there is. One of them could ignore a rule.

    In a password ``{email}`` stands for the address.
    """
    path = request.param
    if path == "password/change":
        login(api, user)
    token = link_token(Purpose.PASSWORD_RESET, user)
    if path == "email/confirm":
        token = make(Purpose.REGISTRATION, pending("new@example.org").pk)
    name, fields = {
        "register": ("password", {"email": "new@example.org"}),
        "email/confirm": ("password", {"token": token}),
        "password/change": ("new_password", {"current_password": PASSWORD}),
        "password/reset/confirm": ("password", {"token": token}),
    }[path]
    email = fields.get("email", user.email)
    return lambda password: send(api, path, fields | {name: password.replace("{email}", email)})
