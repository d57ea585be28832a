"""The pages about accounts: Django forms that do what the API does, without JavaScript, each with its CSRF token."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import resolve

from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, STRANGE, events, live, seen, who
from tests.browsers import ACCESS, FIREFOX, REFRESH, login
from tests.factories import PASSWORD, UserFactory
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"
TWICE = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
OWN = {"/email/change", "/password/change", "/account/delete"}
AGAIN = "/sign-in/again"
OPEN = {"/register", "/email/confirm", "/password/reset", "/password/reset/confirm"}
NOTICES = {"/mail-sent", "/email/confirmed", "/password/changed", "/password/reset/done", "/account/deleted"}


@pytest.fixture
def signed_in(api: Client, user: Any, clock: Any) -> Client:
    api.post("/sign-in", {"username": user.email, "password": PASSWORD})
    return api


def register(client: Client, email: str = ADDRESS, **more: str) -> Any:
    return client.post("/register", {"email": email, **TWICE, **more})


def errors(response: Any) -> set[str]:
    """The fields that the form says something of."""
    assert response.status_code == 200
    return set(response.context["form"].errors)


def test_somebody_registers_confirms_and_signs_in(api, token_in):
    response = register(api)
    assert (response.status_code, response["Location"]) == (302, "/mail-sent")
    assert not User.objects.get().is_active
    page = api.get("/email/confirm", {"token": token_in(ADDRESS)})
    assert not User.objects.get().is_active  # A program that scans mails looks, and changes nothing.
    hidden = re.search(r'name="token" value="([^"]+)"', page.content.decode())
    assert hidden
    response = api.post("/email/confirm", {"token": unescape(hidden[1])})
    assert response["Location"] == "/email/confirmed"
    api.post("/sign-in", {"username": ADDRESS, "password": NEW_PASSWORD})
    assert who(api) == 200


def test_registering_looks_the_same_whether_there_is_an_account(api, another, hashed, mailoutbox):
    UserFactory(email="there@example.org")
    hashed.clear()
    new = register(api)
    assert seen(register(another(), "there@example.org")) == seen(new)
    assert hashed == ["encode"] * 2
    assert len(mailoutbox) == 2


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": ""}, "email"),
        ({"password2": "another one"}, "password2"),
        ({"password1": "short", "password2": "short"}, "password1"),
        ({"password1": ADDRESS, "password2": ADDRESS}, "password1"),
        ({"password1": "x" * 4097, "password2": "x" * 4097}, "password1"),
    ],
)
@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_not_valid_is_said_beside_its_field(api, given, field, is_there):
    if is_there:
        UserFactory(email=ADDRESS)
    response = api.post("/register", {"email": ADDRESS, **TWICE, **given})
    assert errors(response) == {field}
    assert NEW_PASSWORD not in response.content.decode()
    assert User.objects.count() == is_there


@pytest.mark.parametrize("path", ["/email/confirm", "/password/reset/confirm"])
@pytest.mark.parametrize("token", ["", "nonsense", "x" * 2000, "<script>"])
def test_a_bad_link_is_told_on_its_page(api, path, token):
    response = api.get(path, {"token": token})
    assert response.status_code == 200
    assert "<script>" not in response.content.decode()
    assert errors(api.post(path, {"token": token, **TWICE}))


def test_a_forgotten_password_is_set_anew(api, user, signed_in, another, token_in):
    stranger = another()
    assert stranger.post("/password/reset", {"email": user.email})["Location"] == "/mail-sent"
    token = token_in(user.email)
    assert stranger.get("/password/reset/confirm", {"token": token}).status_code == 200
    bad = stranger.post("/password/reset/confirm", {"token": token, "password1": "short", "password2": "short"})
    assert errors(bad) == {"password1"}
    done = stranger.post("/password/reset/confirm", {"token": token, **TWICE})
    assert done["Location"] == "/password/reset/done"
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert live() == 0
    assert who(signed_in) == 401
    assert errors(stranger.post("/password/reset/confirm", {"token": token, **TWICE})) == {"__all__"}


def test_asking_for_a_reset_looks_the_same_for_nobody(api, user, mailoutbox):
    found = api.post("/password/reset", {"email": user.email})
    assert seen(api.post("/password/reset", {"email": "nobody@example.org"})) == seen(found)
    assert len(mailoutbox) == 1


@pytest.mark.django_db(transaction=True)
def test_a_password_is_changed_and_this_browser_stays_signed_in(signed_in, user, another, clock, mailoutbox):
    other = another()
    login(other, user)
    response = signed_in.post("/password/change", {"current_password": PASSWORD, **TWICE})
    assert response["Location"] == "/password/changed"
    clock.forward(1)
    assert who(other) == 401
    for _ in range(2):
        assert who(signed_in) == 200
        clock.forward(601)
    assert len(events(SecurityEvent.Kind.PASSWORD_CHANGED)) == 1
    told = [message.subject for message in mailoutbox if message.to == [user.email]]
    assert told == ["A new device signed in", "Your password was changed"]


def test_by_the_page_and_by_the_api_one_is_signed_in_alike(api, user, clock):
    login(api, user)
    assert api.post("/password/change", {"current_password": PASSWORD, **TWICE})["Location"] == "/password/changed"
    clock.forward(601)
    assert who(api) == 200


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"current_password": "wrong"}, "current_password"),
        ({"current_password": ""}, "current_password"),
        ({"password2": "another one"}, "password2"),
        ({"password1": "short", "password2": "short"}, "password1"),
    ],
)
def test_a_change_of_password_that_is_refused_changes_nothing(signed_in, given, field, mailoutbox):
    response = signed_in.post("/password/change", {"current_password": PASSWORD, **TWICE, **given})
    assert errors(response) == {field}
    assert PASSWORD not in response.content.decode()
    assert User.objects.get().check_password(PASSWORD)
    assert not mailoutbox


def test_an_address_is_changed_when_it_is_confirmed(signed_in, user, token_in):
    assert signed_in.post("/email/change", {"email": ADDRESS})["Location"] == "/mail-sent"
    assert User.objects.get().email == user.email
    assert signed_in.post("/email/confirm", {"token": token_in(ADDRESS)})["Location"] == "/email/confirmed"
    assert User.objects.get().email == ADDRESS
    assert errors(signed_in.post("/email/change", {"email": ADDRESS})) == {"email"}


def test_an_account_is_deleted_for_whoever_is_sure(signed_in, mailoutbox):
    assert errors(signed_in.post("/account/delete", {})) == {"sure"}
    response = signed_in.post("/account/delete", {"sure": "on"})
    assert response["Location"] == "/account/deleted"
    assert response.cookies[ACCESS]["max-age"] == response.cookies[REFRESH]["max-age"] == 0
    assert not User.objects.exists()
    assert signed_in.get("/account/deleted").status_code == 200
    assert len(mailoutbox) == 1


@pytest.mark.parametrize("path", sorted(OWN))
class TestARecentSignIn:
    def test_is_asked_of_a_stranger_who_comes_back_then(self, api, user, path):
        response = api.get(path)
        assert response["Location"] == f"/sign-in?{urlencode({'next': path}, safe='/')}"
        response = api.post("/sign-in", {"username": user.email, "password": PASSWORD, "next": path})
        assert response["Location"] == path
        assert api.get(path).status_code == 200

    def test_is_asked_of_whoever_signed_in_long_ago(self, signed_in, user, path, clock):
        clock.forward(901)
        for response in (signed_in.get(path), signed_in.post(path, {"sure": "on", "email": ADDRESS})):
            assert response["Location"] == f"/sign-in/again?next={path}"
        assert User.objects.get().email == user.email
        response = signed_in.post("/sign-in/again", {"current_password": PASSWORD, "next": path})
        assert response["Location"] == path
        assert signed_in.get(path).status_code == 200


@pytest.mark.parametrize("path", sorted({*OPEN, *OWN, AGAIN}))
def test_a_form_without_its_csrf_token_is_refused(user, path, mailoutbox):
    strict = Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})
    login(strict, user)
    given = {"email": ADDRESS, "sure": "on", "current_password": PASSWORD, **TWICE}
    assert strict.post(path, given, headers={"Origin": "https://testserver"}).status_code == 403
    assert User.objects.get().email == user.email
    assert not mailoutbox


@pytest.mark.parametrize("path", sorted(OWN))
def test_a_form_from_another_origin_is_refused(signed_in, path, user):
    given = {"email": ADDRESS, "sure": "on", "current_password": PASSWORD, **TWICE}
    assert signed_in.post(path, given, headers=STRANGE).status_code == 403
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize("path", sorted({*OPEN, *OWN, AGAIN}))
def test_a_page_is_not_kept_and_tells_no_other_site_where_one_was(signed_in, path):
    response = signed_in.get(path)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"
    html = response.content.decode()
    assert "csrfmiddlewaretoken" in html
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", html), "nothing that our policy would stop"
    assert "<title>" in html


@pytest.mark.parametrize("path", sorted(NOTICES))
def test_what_was_done_is_said_on_a_page_of_its_own(api, path):
    response = api.get(path)
    assert response.status_code == 200
    assert 'href="/sign-in"' in response.content.decode()


def test_pages_lead_to_each_other(signed_in, another):
    own = set(re.findall(r'href="([^"]+)"', signed_in.get("/").content.decode()))
    assert own >= OWN
    assert set(re.findall(r'href="([^"]+)"', another().get("/").content.decode())) >= {"/register", "/password/reset"}


@pytest.mark.parametrize("path", sorted({*OPEN, *OWN, AGAIN}))
def test_what_a_page_has_done_stays_done_under_atomic_requests(path):
    assert "default" in resolve(path).func._non_atomic_requests
