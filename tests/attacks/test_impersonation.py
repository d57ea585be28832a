"""An actor changes no account. A thief who has the tokens of an impersonation does not become the actor."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from tests.attacks.changes import send, submit
from tests.browsers import ACCESS, DEVICE, REFRESH, copy_of, login, new_browser, post, refresh
from tests.factories import PASSWORD, AdminFactory
from tests.tokens.web.impersonation import _urls, actor, by_function, impersonations, owner, release_by_function, staff
from tests.tokens.web_steps import EXPIRED, signed_in_as
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.service import devices

__all__ = ["_urls", "actor", "owner", "staff"]

pytestmark = pytest.mark.at_length_on("sqlite")

CHOSEN = "what the actor has chosen"
IN_THE_ADMIN = {"old_password": PASSWORD, "new_password1": CHOSEN, "new_password2": CHOSEN}
CHANGES: dict[str, Callable[[Client], Any]] = {
    "the address": send("POST", "email/change", email="actor@example.org"),
    "the password": send("POST", "password/change", current_password=PASSWORD, new_password=CHOSEN),
    "the account's existence": send("DELETE", "me"),
    "the other sessions": send("DELETE", "sessions"),
    "the authenticator app": send("POST", "factors/totp"),
    "the authenticator app, with the password": send("DELETE", "factors/totp", current_password=PASSWORD),
    "the recovery codes": send("POST", "factors/recovery-codes"),
    "the time of the sign-in": send("POST", "reauthenticate", password=PASSWORD),
    "the name of a device": lambda browser: browser.patch(
        f"/api/auth/sessions/{RefreshToken.objects.filter(actor=None).latest('id').id}",
        {"device_name": "of the actor"},
        content_type="application/json",
    ),
    "the time of the sign-in, on the page": partial(submit, page=("/sign-in/again", {"current_password": PASSWORD})),
    "the time of the sign-in, by a view of the project": partial(submit, page=("/probe/prove", {"password": PASSWORD})),
    "something in the admin": partial(submit, page=("/admin/auth/group/add/", {"name": "actors"})),
    "the password, in the admin": partial(submit, page=("/admin/password_change/", IN_THE_ADMIN)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_never_changes_even_for_an_actor_who_knows_the_password(staff, change, another):
    owner = AdminFactory()
    browser = signed_in_as(staff)
    assert by_function(browser, owner).status_code == 200
    login(another(), owner)
    before = list(User.objects.order_by("pk").values()), list(Device.objects.order_by("pk").values("name"))
    assert change(browser).status_code == 403
    after = list(User.objects.order_by("pk").values()), list(Device.objects.order_by("pk").values("name"))
    assert (after, RefreshToken.objects.live().count()) == (before, 3)
    assert browser.get("/probe/whose").json()["recent"] is False


def test_the_tokens_of_before_open_nothing_after_the_release(staff, owner, another):
    browser = signed_in_as(staff)
    before = browser.cookies[REFRESH].value
    by_function(browser, owner)
    within = browser.cookies[REFRESH].value
    release_by_function(browser)
    for token in (before, within):
        assert refresh(another(), token).status_code == 401


@pytest.mark.parametrize("path", ["/probe/impersonate/{}", "/probe/release"], ids=["begin", "release"])
def test_an_access_token_alone_neither_begins_nor_ends_one(actor, staff, owner, another, path):
    if "impersonate" in path:
        release_by_function(actor.browser)
    headers = {"Authorization": f"Bearer {actor.browser.cookies[ACCESS].value}"}
    before = RefreshToken.objects.live().count()
    assert another().post(path.format(owner.email), headers=headers).status_code == 403
    assert RefreshToken.objects.live().count() == before


def test_a_copy_of_its_tokens_without_the_device_does_not_become_the_actor(actor):
    copy = copy_of(actor.browser, ACCESS, REFRESH)
    assert release_by_function(copy).status_code == 403
    copy.cookies[DEVICE] = devices.new_token()
    assert release_by_function(copy).status_code == 403
    assert impersonations().live().exists()


@pytest.mark.django_db(transaction=True)
def test_reuse_of_its_refresh_token_is_reported_to_the_actor_and_not_as_a_device_of_the_owner(actor, staff, clock):
    thief = copy_of(actor.browser, REFRESH)
    for _ in range(2):
        clock.forward(700)
        refresh(actor.browser)
        actor.browser.get("/api/auth/me")
    clock.forward(200)
    actor.browser.get("/api/auth/me")
    mail.outbox.clear()
    assert refresh(thief).status_code == 401
    event = SecurityEvent.objects.get(kind=SecurityEvent.Kind.REUSE_DETECTED)
    assert (event.actor, [message.to for message in mail.outbox]) == (staff, [[staff.email]])


SIGN_OUTS: dict[str, Callable[[Client], Any]] = {
    "by the API": lambda client: post(client, "/api/auth/logout"),
    "on the page": lambda client: client.post("/sign-out"),
    "in the list of sessions": lambda client: client.post(f"/sessions/{impersonations().get().pk}/end"),
}
HOLDERS: dict[str, Callable[[str], dict[str, str]]] = {
    "a Bearer token": lambda access: {"Authorization": f"Bearer {access}"},
    "a cookie": lambda access: {"Cookie": f"{ACCESS}={access}"},
}


class TestSigningOutOfAnImpersonation:
    """Who sees its access token ends the impersonation, and not the actor's own session."""

    @pytest.fixture
    def own(self, actor: Any) -> RefreshToken:
        """The session in which the actor has begun it. Without it, a sign-out that ends this one too would pass."""
        return RefreshToken.objects.get(actor=None)

    @pytest.mark.parametrize("sign_out", SIGN_OUTS.values(), ids=SIGN_OUTS)
    @pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
    def test_an_access_token_alone_ends_the_impersonation_only(self, actor, own, sign_out, holder):
        sign_out(Client(headers=holder(actor.browser.cookies[ACCESS].value)))
        assert is_ended_only(own)

    def test_an_expired_one_ends_no_more(self, actor, own, clock):
        clock.forward(EXPIRED)
        post(Client(headers=HOLDERS["a Bearer token"](actor.browser.cookies[ACCESS].value)), "/api/auth/logout")
        assert is_ended_only(own)

    def test_the_device_of_somebody_else_beside_it_does_not_help(self, actor, own):
        thief = signed_in_as(AdminFactory())
        cookies = {DEVICE: thief.cookies[DEVICE].value, ACCESS: actor.browser.cookies[ACCESS].value}
        new_browser(cookies).post("/sign-out")
        assert is_ended_only(own)

    @pytest.mark.parametrize("kept", [{REFRESH}, {DEVICE}, {REFRESH, DEVICE}], ids=["refresh", "device", "both"])
    @pytest.mark.parametrize("sign_out", SIGN_OUTS.values(), ids=SIGN_OUTS)
    def test_the_actors_browser_signs_the_actor_out_with_its_refresh_or_device_cookie(self, actor, sign_out, kept):
        for name in {REFRESH, DEVICE} - kept:
            del actor.browser.cookies[name]
        assert sign_out(actor.browser).status_code in {204, 302}
        assert not RefreshToken.objects.live().exists()

    def test_with_the_refresh_cookie_only_the_actor_signs_out_too(self, actor, clock):
        clock.forward(EXPIRED)
        post(new_browser({REFRESH: actor.browser.cookies[REFRESH].value}), "/api/auth/logout")
        assert not RefreshToken.objects.live().exists()


def is_ended_only(own: RefreshToken) -> bool:
    own.refresh_from_db()
    return (impersonations().get().revoked_reason, own.revoked_at) == (RefreshToken.Reason.SIGNED_OUT, None)
