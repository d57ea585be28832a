"""The pages about accounts, as far as they differ from the API. What they have in common is tested for both.

They are Django forms, work without JavaScript, and need a CSRF token.
"""

import re
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import resolve

from accounts.links import Purpose
from tests.accounts.steps import (
    CROSS_SITE,
    NAMED,
    TWICE,
    clears_the_tokens,
    form_errors,
    live,
    sign_in_by_form,
    text,
    who,
)
from tests.browsers import FIREFOX, login
from tests.factories import PASSWORD, User, link_token
from tokens.models import Device, RefreshToken

pytestmark = pytest.mark.django_db

FILLED_IN = {"email": "ada@example.org", "sure": "on", "current_password": PASSWORD, **TWICE}
"""Enough for every form."""
OWN = ["/account/delete", "/email/change", "/password/change"]
"""Pages that change the account of the user who is signed in."""
OPEN = ["/email/confirm", "/password/reset", "/password/reset/confirm", "/register"]
"""Pages for users who are not signed in."""
FORMS = [*OWN, *OPEN, "/sign-in/again"]
EVERY_FORM = [*FORMS, "/alarm", "/sign-out", "/sessions/end-others", "/sessions/{}/end", "/sessions/{}/rename"]
DONE = ["/account/deleted", "/email/confirmed", "/mail-sent", "/password/changed", "/password/reset/done"]


PURPOSES = {"/email/confirm": Purpose.EMAIL_CHANGE, "/password/reset/confirm": Purpose.PASSWORD_RESET}


@pytest.mark.parametrize("path", PURPOSES)
class TestAPageThatALinkLeadsTo:
    def test_it_puts_the_token_into_its_form_and_changes_nothing(self, api, user, path):
        """Mail scanners open links. A scanner must not confirm an address."""
        before = User.objects.values().get()
        token = link_token(PURPOSES[path], user, "new@example.org")
        html = api.get(path, {"token": token}, follow=True).content.decode()
        assert re.findall(r'name="token" value="([^"]+)"', html) == [token]
        assert User.objects.values().get() == before

    def test_it_takes_the_token_out_of_the_address_and_tells_no_other_site(self, api, user, path):
        """The address bar, the history, the log of a proxy, and the Referer of what the page loads."""
        token = link_token(PURPOSES[path], user)
        response = api.get(path, {"token": token}, follow=True)
        assert response.redirect_chain == [(path, 302)]
        assert (response["Referrer-Policy"], response["Cache-Control"][:8]) == ("strict-origin", "max-age=")
        assert token in response.content.decode()
        assert token in api.get(path).content.decode(), "The page can be loaded again."
        assert token not in Client().get(path).content.decode()

    def test_a_session_keeps_no_token_that_is_not_ours_or_has_been_used(self, api, user, path):
        """Otherwise strangers could fill the table of sessions."""
        token = link_token(PURPOSES[path], user, "new@example.org")
        api.get(path, {"token": "nonsense"})
        assert not api.session.items()
        api.get(path, {"token": token})
        api.post(path, {"token": token, **TWICE})
        assert token not in str(dict(api.session.items()))

    @pytest.mark.parametrize(
        "token", ["", "nonsense", "x" * 2000, "<script>"], ids=["no token", "nonsense", "a long one", "markup"]
    )
    def test_it_has_no_form_if_the_link_is_invalid_and_the_form_does_nothing(self, api, path, token):
        page = text(api.get(path, {"token": token}))
        assert "This link is not valid. Request a new one." in page
        assert ("<script>" in page, "<form" in page.partition("<main")[2]) == (False, False)
        assert form_errors(api.post(path, {"token": token, **TWICE}))


BAD = {
    "a registration with passwords that differ": ("/register", {"password2": "another one", **NAMED}, "password2"),
    "a change with passwords that differ": ("/password/change", {"password2": "another one", **NAMED}, "password2"),
    "a change without the current password": ("/password/change", {"current_password": ""}, "current_password"),
    "a deletion without a tick": ("/account/delete", {"sure": ""}, "sure"),
}


@pytest.mark.parametrize(("path", "given", "field"), BAD.values(), ids=BAD)
def test_an_error_is_shown_beside_its_field_and_no_password_is_shown(signed_in_by_form, path, given, field, mailoutbox):
    response = signed_in_by_form.post(path, {**FILLED_IN, **given})
    assert form_errors(response) == {field}
    assert not re.search(f"{PASSWORD}|{TWICE['password1']}", response.content.decode())
    assert User.objects.get().check_password(PASSWORD)
    assert not mailoutbox


def test_a_session_that_was_opened_by_the_form_continues_after_a_change_of_the_password(signed_in_by_form, clock):
    assert signed_in_by_form.post("/password/change", FILLED_IN)["Location"] == "/password/changed"
    for _ in range(2):
        assert who(signed_in_by_form) == 200
        clock.forward(601)


def test_deleting_the_account_signs_out_and_sends_a_mail(signed_in_by_form, mailoutbox):
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


@pytest.mark.parametrize("path", EVERY_FORM)
def test_a_form_needs_its_csrf_token(user, path, mailoutbox):
    strict = Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})
    session = login(strict, user)["session"]["id"]
    given = {**FILLED_IN, "token": link_token(Purpose.ALARM, user), "name": "Mine"}
    assert strict.post(path.format(session), given, headers={"Origin": "https://testserver"}).status_code == 403
    assert (User.objects.get().email, live()) == (user.email, 1)
    assert not mailoutbox


@pytest.mark.parametrize("path", EVERY_FORM)
def test_a_form_of_another_site_changes_nothing_and_rotates_nothing(signed_in_by_form, user, path, clock, mailoutbox):
    session, name = RefreshToken.objects.get(), Device.objects.get().name
    clock.forward(601)
    given = {**FILLED_IN, "token": link_token(Purpose.ALARM, user), "name": "Mine"}
    response = signed_in_by_form.post(path.format(session.id), given, headers=CROSS_SITE)
    assert (response.status_code, len(response.cookies)) == (403, 0)
    session.refresh_from_db()
    assert (session.generation, session.revoked_at, session.device.name) == (0, None, name)
    row = User.objects.get()
    assert (row.email, row.check_password(PASSWORD)) == (user.email, True)
    assert not mailoutbox


@pytest.mark.parametrize("path", FORMS)
class TestEveryForm:
    def test_it_is_not_cached_framed_or_sent_as_a_referrer_to_other_sites(self, signed_in_by_form, path):
        response = signed_in_by_form.get(path)
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"]
        referrer = "strict-origin" if path in PURPOSES else "same-origin"
        assert (response["Referrer-Policy"], response["X-Frame-Options"]) == (referrer, "DENY")
        html = response.content.decode()
        assert "csrfmiddlewaretoken" in html
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", html), "The policy (CSP) would block it."
        assert "<title>" in html

    def test_what_it_has_done_is_not_rolled_back_under_atomic_requests(self, path):
        assert "default" in resolve(path).func._non_atomic_requests


@pytest.mark.parametrize("path", DONE)
def test_a_page_says_what_was_done_and_links_to_the_sign_in_page(api, path):
    response = api.get(path)
    assert response.status_code == 200
    assert 'href="/sign-in"' in response.content.decode()


def test_the_home_page_links_to_the_forms(signed_in_by_form, another):
    def links(client) -> set[str]:
        return set(re.findall(r'href="([^"]+)"', client.get("/").content.decode()))

    assert links(signed_in_by_form) >= set(OWN)
    assert links(another()) >= {"/register", "/password/reset"}
