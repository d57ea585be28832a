"""The pages: sign in, see who you are and where, sign out, end another session. Without JavaScript."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, login
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

CURL = "curl/8.9.1"
NOBODYS = "0190b6f2-7e4c-7000-8000-000000000000"
OWN = {"Origin": "https://testserver", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def strict() -> Client:
    """A browser at a server that, as in production, asks every form for its CSRF token."""
    return Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})


def sign_in(client: Client, user: Any, **more: Any) -> Any:
    return client.post("/sign-in", {"username": user.email, "password": PASSWORD, **more})


def session_of(client: Client) -> RefreshToken:
    """The session of the last sign-in in this browser."""
    session: RefreshToken = RefreshToken.objects.filter(pk=client.get("/").context["current"]).get()
    return session


def csrf_token(html: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert found
    return found[1]


def is_sign_in_form(response: Any) -> bool:
    assert response.status_code == 200
    return b'type="password"' in response.content


# The first page


def test_a_stranger_finds_the_sign_in_form_at_the_root(api, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = api.get("/")
    assert is_sign_in_form(response)
    assert response.cookies.get(ACCESS) is None
    assert "Cookie" in response["Vary"]


def test_a_signed_in_person_finds_who_they_are_and_where(api, another, user):
    stranger = UserFactory()
    login(api, user)
    login(Client(headers={"User-Agent": CURL}), user)
    login(another(), stranger, device_name="Somebody else's")
    response = api.get("/")
    html = unescape(response.content.decode())
    assert f"You are signed in as {user.email}" in html
    assert not re.search('type="password"', html)
    assert html.index("Firefox on Windows") < html.index("This device") < html.index("curl"), "this one first"
    assert html.count("This device") == 1
    assert "Somebody else's" not in html
    assert len(re.findall('action="/sessions/[^/]+/end"', html)) == 1, "for this one there is the way out"
    assert len(re.findall('action="/sessions/[^/]+/rename"', html)) == 2


def test_an_ended_session_is_not_listed(api, another, user, clock):
    elsewhere = another()
    login(elsewhere, user, device_name="The old one")
    login(api, user)
    assert b"The old one" in api.get("/").content
    assert elsewhere.post("/sign-out").status_code == 302
    assert b"The old one" not in api.get("/").content


def test_a_devices_name_is_text_and_not_markup(api, user):
    login(api, user, device_name="<script>alert(1)</script>")
    html = api.get("/").content
    assert b"<script>" not in html
    assert b"&lt;script&gt;" in html


def test_the_administration_is_shown_to_staff_alone(api, another, user):
    login(api, user)
    assert b"/admin/" not in api.get("/").content
    staff = another()
    login(staff, AdminFactory())
    assert b"/admin/" in staff.get("/").content


def test_the_page_of_a_signed_in_person_is_kept_out_of_shared_caches(api, user):
    login(api, user)
    assert "Cookie" in api.get("/")["Vary"]


def test_a_revoked_session_finds_the_form_again(api, user, clock):
    login(api, user)
    RefreshToken.objects.update(revoked_at=clock.now)
    clock.forward(601)
    response = api.get("/", headers={"Accept": "text/html"})
    assert is_sign_in_form(response)
    assert response.cookies[ACCESS]["max-age"] == 0


@pytest.mark.parametrize("gone", ["deleted", "switched off"])
def test_somebody_who_is_gone_and_of_whom_nobody_told_us_is_a_stranger(gone, api, user, clock):
    """Raw SQL sends no signal: the access token is good, and its user is not."""
    login(api, user)
    if gone == "deleted":
        for model in (RefreshToken, Device, SecurityEvent, User):
            model._base_manager.all()._raw_delete("default")
    else:
        User._base_manager.filter(pk=user.pk).update(is_active=False)
    assert is_sign_in_form(api.get("/"))
    response = api.post(f"/sessions/{NOBODYS}/end")
    assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/")
    assert is_sign_in_form(api.get(response["Location"]))


# Signing in


def test_signing_in_by_the_form_opens_a_session_and_goes_home(api, user):
    response = sign_in(api, user)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert {ACCESS, REFRESH, DEVICE} <= set(response.cookies)
    assert "no-store" in response["Cache-Control"]
    session = RefreshToken.objects.get()
    assert (session.user, session.mode, session.remember) == (user, "cookie", False)
    assert session.device.name == "Firefox on Windows"
    assert user.email.encode() in api.get("/").content


def test_the_form_takes_any_spelling_of_the_address(api, user):
    response = api.post("/sign-in", {"username": user.email.upper(), "password": PASSWORD})
    assert response.status_code == 302


def test_without_remember_me_the_cookies_go_with_the_browser(api, user):
    response = sign_in(api, user)
    assert response.cookies[ACCESS]["max-age"] == ""
    assert response.cookies[REFRESH]["max-age"] == ""


def test_with_remember_me_the_cookies_stay_for_two_weeks(api, user, clock):
    response = sign_in(api, user, remember="on")
    assert response.cookies[ACCESS]["max-age"] == 14 * 86400
    assert response.cookies[REFRESH]["max-age"] == 14 * 86400
    assert RefreshToken.objects.get().remember


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("{}", "wrong"),
        ("nobody@example.org", PASSWORD),
        ("{}", ""),
        ("", PASSWORD),
        ("not an address", PASSWORD),
        ("{}\0", PASSWORD),
        ("{}", PASSWORD + "\0"),
        ("x" * 10_000, PASSWORD),
    ],
)
def test_a_wrong_sign_in_is_asked_again_and_leaves_nothing(email, password, api, user):
    response = api.post("/sign-in", {"username": email.format(user.email), "password": password})
    assert is_sign_in_form(response)
    assert not {ACCESS, REFRESH, DEVICE} & set(response.cookies)
    assert not RefreshToken.objects.exists()


def test_the_refusal_does_not_tell_whether_there_is_an_account(api, user):
    wrong = api.post("/sign-in", {"username": user.email, "password": "wrong"})
    unknown = api.post("/sign-in", {"username": "nobody@example.org", "password": "wrong"})
    assert wrong.context["form"].errors == unknown.context["form"].errors


def test_a_wrong_password_is_written_down(api, user):
    api.post("/sign-in", {"username": user.email, "password": "wrong"})
    event = SecurityEvent.objects.get()
    assert (event.kind, event.user, event.user_agent) == ("sign_in_failed", user, FIREFOX)


def test_somebody_switched_off_cannot_sign_in(api):
    assert is_sign_in_form(sign_in(api, UserFactory(is_active=False)))


def test_the_form_leads_on_whoever_is_signed_in(api, user):
    sign_in(api, user)
    assert api.get("/sign-in")["Location"] == "/"
    assert api.get("/sign-in", {"next": "/password/change"})["Location"] == "/password/change"
    assert api.get("/sign-in", {"next": "https://evil.example/"})["Location"] == "/"


def test_the_form_leads_nobody_on_whose_session_has_ended(api, user, clock):
    """The access token is good until this process hears of it."""
    sign_in(api, user)
    RefreshToken.objects.update(revoked_at=clock.now)
    assert is_sign_in_form(api.get("/sign-in", {"next": "/account/delete"}))


def test_who_has_signed_in_again_is_not_told_that_they_have_not(api, user):
    sign_in(api, user)
    assert api.get("/signed-out")["Location"] == "/"


def test_a_page_that_needs_a_sign_in_is_reached_after_it(api):
    staff = AdminFactory()
    form = api.get(api.get("/admin/")["Location"])
    assert form.context["next"] == "/admin/"
    response = sign_in(api, staff, next="/admin/")
    assert api.get(response["Location"]).status_code == 200


def test_a_stale_cookie_does_not_stand_in_the_way(api, user):
    api.cookies[ACCESS], api.cookies[REFRESH] = "garbage", "garbage"
    assert is_sign_in_form(api.get("/"))
    api.cookies[ACCESS], api.cookies[REFRESH] = "garbage", "garbage"
    assert sign_in(api, user).status_code == 302
    assert user.email.encode() in api.get("/").content


def test_signing_in_as_somebody_else_ends_the_first_ones_session(api, user):
    other = UserFactory()
    sign_in(api, user)
    sign_in(api, other)
    assert other.email.encode() in api.get("/").content
    assert RefreshToken.objects.get(user=user).revoked_reason == "superseded"


def test_the_form_without_its_token_is_refused(strict, user):
    response = strict.post("/sign-in", {"username": user.email, "password": PASSWORD})
    assert response.status_code == 403
    assert not RefreshToken.objects.exists()


def test_the_form_with_its_token_signs_in_over_https(strict, user):
    token = csrf_token(strict.get("/", secure=True).content.decode())
    fields = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": token}
    assert strict.post("/sign-in", fields, secure=True).status_code == 403, "neither Origin nor Referer"
    assert strict.post("/sign-in", fields, secure=True, headers={"Origin": "https://evil.example"}).status_code == 403
    assert not RefreshToken.objects.exists()
    assert strict.post("/sign-in", fields, secure=True, headers=OWN).status_code == 302
    assert RefreshToken.objects.get().user == user


def test_a_form_of_another_site_signs_nobody_in_again(api, user):
    """Who is signed in must not be signed in as somebody else by a form on another site."""
    login(api, user)
    other = UserFactory()
    fields = {"username": other.email, "password": PASSWORD}
    response = api.post("/sign-in", fields, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert not response.cookies
    assert RefreshToken.objects.live().get().user == user


# Signing out


def test_signing_out_by_the_form_ends_the_session_and_clears_the_cookies(api, user, clock):
    sign_in(api, user)
    stolen = api.cookies[ACCESS].value
    response = api.post("/sign-out")
    assert (response.status_code, response["Location"]) == (302, "/signed-out")
    assert [response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)] == [0, 0]
    assert DEVICE not in response.cookies
    assert 'href="/sign-in"' in api.get("/signed-out").content.decode()
    session = RefreshToken.objects.get()
    assert (session.revoked_reason, session.revoked_at) == ("signed_out", clock.now)
    clock.forward(2)
    thief = Client()
    thief.cookies[ACCESS] = stolen
    assert is_sign_in_form(thief.get("/"))
    assert is_sign_in_form(api.get("/"))


def test_signing_out_works_with_an_expired_access_token(api, user, clock):
    sign_in(api, user)
    clock.forward(601)
    response = api.post("/sign-out")
    assert [response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)] == [0, 0]
    assert RefreshToken.objects.get().revoked_reason == "signed_out"


def test_signing_out_ends_this_session_and_no_other(api, another, user):
    elsewhere = another()
    sign_in(elsewhere, user)
    sign_in(api, user)
    api.post("/sign-out")
    assert user.email.encode() in elsewhere.get("/").content


def test_a_link_signs_nobody_out(api, user):
    sign_in(api, user)
    assert api.get("/sign-out").status_code == 405
    assert RefreshToken.objects.live().count() == 1


def test_signing_out_twice_or_as_a_stranger_does_no_harm(api, user):
    assert api.post("/sign-out").status_code == 302
    sign_in(api, user)
    api.post("/sign-out")
    assert api.post("/sign-out").status_code == 302
    assert SecurityEvent.objects.filter(kind="revoked").count() == 1


def test_signing_out_needs_the_forms_token(strict, user):
    token = csrf_token(strict.get("/", secure=True).content.decode())
    fields = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": token}
    strict.post("/sign-in", fields, secure=True, headers=OWN)
    assert strict.post("/sign-out", secure=True, headers=OWN).status_code == 403
    assert RefreshToken.objects.live().count() == 1
    token = csrf_token(strict.get("/", secure=True).content.decode())
    assert strict.post("/sign-out", {"csrfmiddlewaretoken": token}, secure=True, headers=OWN).status_code == 302
    assert RefreshToken.objects.live().count() == 0


# Ending sessions


def test_another_session_is_ended_after_a_recent_sign_in(api, another, user, clock):
    elsewhere = another()
    sign_in(elsewhere, user)
    session = session_of(elsewhere)
    sign_in(api, user)
    clock.forward(900)
    response = api.post(f"/sessions/{session.id}/end")
    assert (response.status_code, response["Location"]) == (302, "/")
    session.refresh_from_db()
    assert session.revoked_reason == "ended_by_user"
    assert user.email.encode() in api.get("/").content
    clock.forward(2)
    assert is_sign_in_form(elsewhere.get("/"))


def test_another_session_is_not_ended_long_after_the_sign_in(api, another, user, clock):
    elsewhere = another()
    sign_in(elsewhere, user)
    session = session_of(elsewhere)
    sign_in(api, user)
    clock.forward(901)
    response = api.post(f"/sessions/{session.id}/end")
    assert (response.status_code, response["Location"]) == (302, "/sign-in/again?next=/")
    assert is_sign_in_form(api.get(response["Location"]))
    assert RefreshToken.objects.live().filter(id=session.id).exists()
    api.post("/sign-in/again", {"current_password": PASSWORD})
    api.post(f"/sessions/{session.id}/end")
    assert not RefreshToken.objects.live().filter(id=session.id).exists()


def test_this_session_is_ended_whenever_one_likes(api, user, clock):
    sign_in(api, user)
    session = session_of(api)
    clock.forward(3600)
    response = api.post(f"/sessions/{session.id}/end")
    assert [response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)] == [0, 0]
    session.refresh_from_db()
    assert session.revoked_reason == "signed_out"
    assert is_sign_in_form(api.get("/"))


def test_nobody_elses_session_can_be_ended(api, another, user):
    elsewhere = another()
    sign_in(elsewhere, UserFactory())
    session = session_of(elsewhere)
    sign_in(api, user)
    assert api.post(f"/sessions/{session.id}/end").status_code == 404
    assert RefreshToken.objects.live().count() == 2


@pytest.mark.parametrize("session_id", [NOBODYS, "1", "not-an-id", "%00", "../../admin"])
def test_a_session_that_is_not_there_is_not_found(session_id, api, user):
    sign_in(api, user)
    assert api.post(f"/sessions/{session_id}/end").status_code == 404


def test_a_session_that_has_ended_is_not_ended_again(api, another, user):
    elsewhere = another()
    sign_in(elsewhere, user)
    session = session_of(elsewhere)
    elsewhere.post("/sign-out")
    sign_in(api, user)
    assert api.post(f"/sessions/{session.id}/end").status_code == 404
    session.refresh_from_db()
    assert session.revoked_reason == "signed_out"


def test_a_stranger_ends_nothing(api, another, user):
    sign_in(api, user)
    session = session_of(api)
    response = another().post(f"/sessions/{session.id}/end")
    assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/")
    assert RefreshToken.objects.live().count() == 1


def test_a_link_ends_nothing(api, user):
    sign_in(api, user)
    assert api.get(f"/sessions/{session_of(api).id}/end").status_code == 405
    assert RefreshToken.objects.live().count() == 1


def test_ending_a_session_needs_the_forms_token(strict, user):
    login(strict, user)
    html = strict.get("/", secure=True).content.decode()
    path = f"/sessions/{session_of(strict).id}/end"
    assert strict.post(path, secure=True, headers=OWN).status_code == 403
    assert RefreshToken.objects.live().count() == 1
    response = strict.post(path, {"csrfmiddlewaretoken": csrf_token(html)}, secure=True, headers=OWN)
    assert response.status_code == 302
    assert RefreshToken.objects.live().count() == 0


def test_another_sites_form_ends_nothing_and_rotates_nothing(api, user, clock):
    sign_in(api, user)
    session = session_of(api)
    clock.forward(601)
    response = api.post(f"/sessions/{session.id}/end", headers={"Sec-Fetch-Site": "cross-site"})
    assert (response.status_code, len(response.cookies)) == (403, 0)
    session.refresh_from_db()
    assert (session.generation, session.revoked_at) == (0, None)


def test_the_pages_work_with_an_expired_access_token(api, another, user, clock):
    elsewhere = another()
    sign_in(elsewhere, user)
    session = session_of(elsewhere)
    sign_in(api, user)
    clock.forward(700)
    response = api.get("/")
    assert user.email.encode() in response.content
    assert {ACCESS, REFRESH} <= set(response.cookies)
    clock.forward(150)
    api.cookies[ACCESS] = "gone"
    assert api.post(f"/sessions/{session.id}/end").status_code == 302
    assert not RefreshToken.objects.live().filter(id=session.id).exists()
