"""Who sees the access token of an impersonation ends the impersonation, and not the actor's own session."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, new_browser, post
from tests.factories import AdminFactory, UserFactory
from tests.tokens.edge import EXPIRED
from tokens.models import RefreshToken

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.at_length_on("sqlite"),
    pytest.mark.urls("tests.tokens.web.impersonation_urls"),
]


SIGN_OUTS: dict[str, Callable[[Client], Any]] = {
    "by the API": lambda client: post(client, "/api/auth/logout"),
    "on the page": lambda client: client.post("/sign-out"),
    "in the list of sessions": lambda client: client.post(f"/sessions/{impersonation().pk}/end"),
}
each_sign_out = pytest.mark.parametrize("sign_out", SIGN_OUTS.values(), ids=SIGN_OUTS)


def impersonation() -> RefreshToken:
    return RefreshToken.objects.exclude(actor=None).get()


def own() -> RefreshToken:
    return RefreshToken.objects.filter(actor=None).order_by("id")[0]


@pytest.fixture
def actor(clock: Any, db: None) -> Client:
    """The browser of a member of the staff who uses the account of a user."""
    browser = new_browser()
    login(browser, AdminFactory())
    assert browser.post(f"/probe/impersonate/{UserFactory().email}").status_code == 200
    return browser


WAYS: dict[str, Callable[[str], dict[str, str]]] = {
    "as a Bearer token": lambda access: {"Authorization": f"Bearer {access}"},
    "in a cookie": lambda access: {"Cookie": f"{ACCESS}={access}"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@each_sign_out
def test_an_access_token_alone_ends_the_impersonation_only(actor, sign_out, way):
    sign_out(Client(headers=way(actor.cookies[ACCESS].value)))
    assert impersonation().revoked_reason == RefreshToken.Reason.SIGNED_OUT
    assert own().revoked_at is None


def test_an_expired_one_ends_no_more(actor, clock):
    clock.forward(EXPIRED)
    SIGN_OUTS["by the API"](Client(headers=WAYS["as a Bearer token"](actor.cookies[ACCESS].value)))
    assert impersonation().revoked_reason == RefreshToken.Reason.SIGNED_OUT
    assert own().revoked_at is None


def test_the_device_of_somebody_else_beside_it_does_not_help(actor):
    thief = new_browser()
    login(thief, UserFactory())
    cookies = f"{DEVICE}={thief.cookies[DEVICE].value}; {ACCESS}={actor.cookies[ACCESS].value}"
    SIGN_OUTS["on the page"](Client(headers={"Cookie": cookies}))
    assert impersonation().revoked_reason == RefreshToken.Reason.SIGNED_OUT
    assert own().revoked_at is None


@pytest.mark.parametrize("kept", [{REFRESH}, {DEVICE}, {REFRESH, DEVICE}], ids=["refresh", "device", "both"])
@each_sign_out
def test_the_actors_browser_signs_the_actor_out_with_its_refresh_or_device_cookie(actor, sign_out, kept):
    for name in {REFRESH, DEVICE} - kept:
        del actor.cookies[name]
    assert sign_out(actor).status_code in {204, 302}
    assert not RefreshToken.objects.live().exists()


def test_with_the_refresh_cookie_only_the_actor_signs_out_too(actor, clock):
    clock.forward(EXPIRED)
    for name in (ACCESS, DEVICE):
        del actor.cookies[name]
    SIGN_OUTS["by the API"](actor)
    assert not RefreshToken.objects.live().exists()
