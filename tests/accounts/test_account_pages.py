"""The pages about accounts: Django forms that do what the API does, without JavaScript, each with its CSRF token."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import resolve

from accounts.models import User
from tests.accounts.steps import (
    CROSS_SITE,
    NEW_PASSWORD,
    TWICE,
    clears_the_tokens,
    events,
    form_errors,
    live,
    seen,
    sign_in_by_form,
    who,
)
from tests.browsers import FIREFOX, login
from tests.factories import PASSWORD, UserFactory
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"
FILLED_IN = {"email": ADDRESS, "sure": "on", "current_password": PASSWORD, **TWICE}
"""Enough for every form."""
OWN = ["/account/delete", "/email/change", "/password/change"]
"""Pages that change the account of the user who is signed in."""
OPEN = ["/email/confirm", "/password/reset", "/password/reset/confirm", "/register"]
"""Pages for users who are not signed in."""
FORMS = [*OWN, *OPEN, "/sign-in/again"]
SHORT = {"password1": "short", "password2": "short"}
TOO_LONG = {"password1": "x" * 4097, "password2": "x" * 4097}


def register(client: Client, email: str = ADDRESS, **more: str) -> Any:
    return client.post("/register", {"email": email, **TWICE, **more})


class TestRegistering:
    def test_a_user_registers_confirms_the_address_and_signs_in(self, api, token_in):
        response = register(api)
        assert (response.status_code, response["Location"]) == (302, "/mail-sent")
        assert not User.objects.get().is_active
        page = api.get("/email/confirm", {"token": token_in(ADDRESS)})
        assert not User.objects.get().is_active, "A mail scanner that opens the link must not confirm the address."
        hidden = re.search(r'name="token" value="([^"]+)"', page.content.decode())
        assert hidden
        response = api.post("/email/confirm", {"token": unescape(hidden[1])})
        assert response["Location"] == "/email/confirmed"
        api.post("/sign-in", {"username": ADDRESS, "password": NEW_PASSWORD})
        assert who(api) == 200

    def test_the_response_is_the_same_whether_there_is_an_account(self, api, another, hashed, mailoutbox):
        UserFactory(email="there@example.org")
        hashed.clear()
        new = register(api)
        assert seen(register(another(), "there@example.org")) == seen(new)
        assert hashed == ["encode"] * 2
        assert len(mailoutbox) == 2

    INVALID = {
        "no address": ({"email": "no address"}, "email"),
        "an empty address": ({"email": ""}, "email"),
        "passwords that differ": ({"password2": "another one"}, "password2"),
        "a password that is too short": (SHORT, "password1"),
        "a password like the address": ({"password1": ADDRESS, "password2": ADDRESS}, "password1"),
        "a password that is too long": (TOO_LONG, "password1"),
    }

    @pytest.mark.parametrize(("given", "field"), INVALID.values(), ids=INVALID)
    @pytest.mark.parametrize("is_there", [True, False], ids=["there is an account", "there is none"])
    def test_an_error_is_shown_beside_its_field(self, api, given, field, is_there):
        if is_there:
            UserFactory(email=ADDRESS)
        response = register(api, **given)
        assert form_errors(response) == {field}
        assert NEW_PASSWORD not in response.content.decode()
        assert User.objects.count() == is_there


class TestResettingThePassword:
    def test_a_forgotten_password_is_replaced_and_all_sessions_end(self, user, signed_in_by_form, another, token_in):
        browser = another()
        assert browser.post("/password/reset", {"email": user.email})["Location"] == "/mail-sent"
        given = {"token": token_in(user.email), **TWICE}
        assert browser.get("/password/reset/confirm", {"token": given["token"]}).status_code == 200
        assert form_errors(browser.post("/password/reset/confirm", given | SHORT)) == {"password1"}
        assert browser.post("/password/reset/confirm", given)["Location"] == "/password/reset/done"
        assert User.objects.get().check_password(NEW_PASSWORD)
        assert live() == 0
        assert who(signed_in_by_form) == 401
        assert form_errors(browser.post("/password/reset/confirm", given)) == {"__all__"}

    def test_the_response_is_the_same_whether_there_is_an_account(self, api, user, mailoutbox):
        found = api.post("/password/reset", {"email": user.email})
        assert seen(api.post("/password/reset", {"email": "nobody@example.org"})) == seen(found)
        assert len(mailoutbox) == 1


@pytest.mark.parametrize("path", ["/email/confirm", "/password/reset/confirm"])
@pytest.mark.parametrize("token", ["", "nonsense", "x" * 2000, "<script>"], ids=lambda token: token[:10] or "none")
def test_an_invalid_link_shows_an_error_on_its_page(api, path, token):
    response = api.get(path, {"token": token})
    assert response.status_code == 200
    assert "<script>" not in response.content.decode()
    assert form_errors(api.post(path, {"token": token, **TWICE}))


class TestChangingTheAccount:
    @pytest.mark.django_db(transaction=True)
    def test_a_new_password_keeps_this_session_and_ends_the_others(
        self, signed_in_by_form, user, another, clock, mailoutbox
    ):
        other = another()
        login(other, user)
        response = signed_in_by_form.post("/password/change", {"current_password": PASSWORD, **TWICE})
        assert response["Location"] == "/password/changed"
        clock.forward(1)
        assert who(other) == 401
        for _ in range(2):
            assert who(signed_in_by_form) == 200
            clock.forward(601)
        assert len(events(SecurityEvent.Kind.PASSWORD_CHANGED)) == 1
        subjects = [message.subject for message in mailoutbox if message.to == [user.email]]
        assert subjects == ["A new device signed in", "Your password was changed"]

    def test_a_session_that_was_opened_by_the_api_can_use_the_pages(self, signed_in, clock):
        response = signed_in.post("/password/change", {"current_password": PASSWORD, **TWICE})
        assert response["Location"] == "/password/changed"
        clock.forward(601)
        assert who(signed_in) == 200

    INVALID = {
        "a wrong current password": ({"current_password": "wrong"}, "current_password"),
        "no current password": ({"current_password": ""}, "current_password"),
        "new passwords that differ": ({"password2": "another one"}, "password2"),
        "a new password that is too short": (SHORT, "password1"),
    }

    @pytest.mark.parametrize(("given", "field"), INVALID.values(), ids=INVALID)
    def test_a_rejected_change_of_the_password_changes_nothing(self, signed_in_by_form, given, field, mailoutbox):
        response = signed_in_by_form.post("/password/change", {"current_password": PASSWORD, **TWICE, **given})
        assert form_errors(response) == {field}
        assert PASSWORD not in response.content.decode()
        assert User.objects.get().check_password(PASSWORD)
        assert not mailoutbox

    def test_an_address_is_changed_when_it_is_confirmed(self, signed_in_by_form, user, token_in):
        assert signed_in_by_form.post("/email/change", {"email": ADDRESS})["Location"] == "/mail-sent"
        assert User.objects.get().email == user.email
        response = signed_in_by_form.post("/email/confirm", {"token": token_in(ADDRESS)})
        assert response["Location"] == "/email/confirmed"
        assert User.objects.get().email == ADDRESS
        assert form_errors(signed_in_by_form.post("/email/change", {"email": ADDRESS})) == {"email"}

    def test_an_account_is_deleted_only_if_the_box_is_ticked(self, signed_in_by_form, mailoutbox):
        assert form_errors(signed_in_by_form.post("/account/delete", {})) == {"sure"}
        response = signed_in_by_form.post("/account/delete", {"sure": "on"})
        assert response["Location"] == "/account/deleted"
        assert clears_the_tokens(response)
        assert not User.objects.exists()
        assert signed_in_by_form.get("/account/deleted").status_code == 200
        assert len(mailoutbox) == 1


@pytest.mark.parametrize("path", OWN)
class TestAPageThatChangesTheAccount:
    def test_it_asks_a_user_to_sign_in_who_then_comes_back(self, api, user, path):
        assert api.get(path)["Location"] == f"/sign-in?{urlencode({'next': path}, safe='/')}"
        assert sign_in_by_form(api, user, next=path)["Location"] == path
        assert api.get(path).status_code == 200

    def test_it_asks_for_the_password_if_the_sign_in_is_too_old(self, signed_in_by_form, user, path, clock):
        clock.forward(901)
        for response in (signed_in_by_form.get(path), signed_in_by_form.post(path, FILLED_IN)):
            assert response["Location"] == f"/sign-in/again?next={path}"
        row = User.objects.get()
        assert (row.email, row.check_password(PASSWORD)) == (user.email, True)
        response = signed_in_by_form.post("/sign-in/again", {"current_password": PASSWORD, "next": path})
        assert response["Location"] == path
        assert signed_in_by_form.get(path).status_code == 200

    def test_it_rejects_a_form_from_another_origin(self, signed_in_by_form, path, user):
        assert signed_in_by_form.post(path, FILLED_IN, headers=CROSS_SITE).status_code == 403
        assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize("path", FORMS)
class TestEveryForm:
    def test_it_needs_its_csrf_token(self, user, path, mailoutbox):
        strict = Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})
        login(strict, user)
        assert strict.post(path, FILLED_IN, headers={"Origin": "https://testserver"}).status_code == 403
        assert User.objects.get().email == user.email
        assert not mailoutbox

    def test_it_is_not_cached_framed_or_sent_as_a_referrer_to_other_sites(self, signed_in_by_form, path):
        response = signed_in_by_form.get(path)
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"]
        assert (response["Referrer-Policy"], response["X-Frame-Options"]) == ("same-origin", "DENY")
        html = response.content.decode()
        assert "csrfmiddlewaretoken" in html
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", html), "The policy (CSP) would block it."
        assert "<title>" in html

    def test_what_it_has_done_is_not_rolled_back_under_atomic_requests(self, path):
        assert "default" in resolve(path).func._non_atomic_requests


@pytest.mark.parametrize(
    "path", ["/account/deleted", "/email/confirmed", "/mail-sent", "/password/changed", "/password/reset/done"]
)
def test_a_page_says_what_was_done_and_links_to_the_sign_in_page(api, path):
    response = api.get(path)
    assert response.status_code == 200
    assert 'href="/sign-in"' in response.content.decode()


def test_the_home_page_links_to_the_forms(signed_in_by_form, another):
    def links(client: Client) -> set[str]:
        return set(re.findall(r'href="([^"]+)"', client.get("/").content.decode()))

    assert links(signed_in_by_form) >= set(OWN)
    assert links(another()) >= {"/register", "/password/reset"}
