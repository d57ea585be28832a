"""The pages for sessions, which work without JavaScript: sign in, list the sessions, end one, sign out."""

import re
from html import unescape

import pytest
from django.test import Client

from tests.accounts.steps import clears_the_tokens, leads_to, live, sign_in_by_form
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, login, new_browser
from tests.factories import PASSWORD, AdminFactory, User, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

UNKNOWN_ID = "0190b6f2-7e4c-7000-8000-000000000000"
SAME_ORIGIN = {"Origin": "https://testserver", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def elsewhere(another, user, clock) -> Client:
    """A second browser of `user`. Without it, ending the wrong session of the user would go unnoticed."""
    browser = another()
    sign_in_by_form(browser, user)
    return browser


@pytest.fixture
def session(elsewhere) -> RefreshToken:
    """The session of the second browser."""
    return session_of(elsewhere)


def session_of(client) -> RefreshToken:
    """Return the session of the last sign-in in this browser."""
    return RefreshToken.objects.get(pk=client.get("/").context["current"])


def csrf_token(client) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/", secure=True).content.decode())
    assert found
    return found[1]


def is_sign_in_form(response) -> bool:
    assert response.status_code == 200
    return b'type="password"' in response.content


def is_signed_in(client, user) -> bool:
    return user.email.encode() in client.get("/").content


class TestTheHomePage:
    def test_without_a_session_it_is_the_sign_in_form_and_takes_no_query(self, api, django_assert_num_queries):
        with django_assert_num_queries(0):
            response = api.get("/")
        assert is_sign_in_form(response)
        assert ACCESS not in response.cookies
        assert "Cookie" in response["Vary"]

    def test_it_lists_the_live_sessions_of_the_user_and_the_current_one_is_first(self, signed_in, another, user):
        login(Client(headers={"User-Agent": "curl/8.9.1"}), user)
        login(another(), UserFactory(), device_name="A device of another user")
        ended = signed_in_as(user, device_name="An old device")
        assert b"An old device" in signed_in.get("/").content
        assert leads_to(ended.post("/sign-out")) == "/signed-out"
        response = signed_in.get("/")
        html = unescape(response.content.decode())
        assert f"You are signed in as {user.email}" in html
        assert not re.search('type="password"|A device of another user|An old device', html)
        assert html.index("Firefox on Windows") < html.index("This device") < html.index("curl")
        assert html.count("This device") == 1
        assert len(re.findall('action="/sessions/[^/]+/end"', html)) == 1, "The current session has “Sign out” instead."
        assert len(re.findall('action="/sessions/[^/]+/rename"', html)) == 2
        assert "Cookie" in response["Vary"]

    def test_only_staff_see_the_link_to_the_admin(self, signed_in):
        assert b"/admin/" not in signed_in.get("/").content
        staff = signed_in_as(AdminFactory())
        assert b"/admin/" in staff.get("/").content

    @pytest.mark.parametrize("change", ["deleted", "switched off"])
    def test_a_user_who_was_changed_by_raw_sql_is_not_signed_in(self, change, signed_in, user):
        """Raw SQL sends no signal. The access token is still valid, its user is not."""
        if change == "deleted":
            for model in (RefreshToken, Device, SecurityEvent, User):
                model._base_manager.all()._raw_delete("default")
        else:
            User._base_manager.filter(pk=user.pk).update(is_active=False)
        assert is_sign_in_form(signed_in.get("/"))
        assert leads_to(signed_in.post(f"/sessions/{UNKNOWN_ID}/end")) == "/sign-in?next=/devices"
        assert is_sign_in_form(signed_in.get("/sign-in?next=/devices"))


WRONG = {
    "a wrong password": ("{}", "wrong"),
    "an unknown address": ("nobody@example.org", PASSWORD),
    "no password": ("{}", ""),
    "no address": ("", PASSWORD),
    "a text that is no address": ("not an address", PASSWORD),
    "a NUL in the address": ("{}\0", PASSWORD),
    "a NUL in the password": ("{}", PASSWORD + "\0"),
    "an address that is too long": ("x" * 10_000, PASSWORD),
    "an account that is switched off": ("off@example.org", PASSWORD),
}


class TestSigningIn:
    @pytest.mark.parametrize("spelled", [str.lower, str.upper], ids=["in lower case", "in upper case"])
    def test_it_opens_a_session_and_leads_to_the_home_page(self, api, user, spelled):
        response = sign_in_by_form(api, user, username=spelled(user.email))
        assert leads_to(response) == "/"
        assert {ACCESS, REFRESH, DEVICE} <= set(response.cookies)
        assert "no-store" in response["Cache-Control"]
        session = RefreshToken.objects.get()
        assert (session.user, session.mode, session.remember) == (user, "cookie", False)
        assert session.device.name == "Firefox on Windows"
        assert is_signed_in(api, user)

    @pytest.mark.parametrize(("fields", "max_age"), [({}, ""), ({"remember": "on"}, 14 * 86400)], ids=["off", "on"])
    def test_with_remember_me_the_cookies_stay_for_two_weeks(self, api, user, clock, fields, max_age):
        response = sign_in_by_form(api, user, **fields)
        assert [response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)] == [max_age] * 2
        assert RefreshToken.objects.get().remember is bool(fields)

    @pytest.mark.parametrize(("email", "password"), WRONG.values(), ids=WRONG)
    def test_wrong_credentials_show_the_form_again_and_open_no_session(self, email, password, api, user):
        UserFactory(email="off@example.org", is_active=False)
        response = api.post("/sign-in", {"username": email.format(user.email), "password": password})
        assert is_sign_in_form(response)
        assert not {ACCESS, REFRESH, DEVICE} & set(response.cookies)
        assert not RefreshToken.objects.exists()

    def test_a_wrong_password_is_recorded_and_the_error_does_not_show_whether_there_is_an_account(self, api, user):
        wrong = sign_in_by_form(api, user, password="wrong")
        event = SecurityEvent.objects.get()
        assert (event.kind, event.user, event.user_agent) == ("sign_in_failed", user, FIREFOX)
        unknown = sign_in_by_form(api, user, username="nobody@example.org", password="wrong")
        assert wrong.context["form"].errors == unknown.context["form"].errors

    def test_a_signed_in_user_is_redirected_from_the_form_and_from_the_page_about_the_sign_out(self, signed_in_by_form):
        assert leads_to(signed_in_by_form.get("/sign-in")) == "/"
        assert leads_to(signed_in_by_form.get("/signed-out")) == "/devices"

    def test_a_user_whose_session_has_ended_is_not_redirected(self, signed_in_by_form, clock):
        """The access token stays valid until this process reads the revocation feed. A redirect would be a loop."""
        RefreshToken.objects.update(revoked_at=clock.now)
        assert is_sign_in_form(signed_in_by_form.get("/sign-in", {"next": "/account/delete"}))

    def test_it_leads_to_the_page_that_asked_for_it(self, api):
        form = api.get(api.get("/admin/")["Location"])
        assert form.context["next"] == "/admin/"
        response = sign_in_by_form(api, AdminFactory(), next="/admin/")
        assert api.get(response["Location"]).status_code == 200

    def test_invalid_cookies_do_not_prevent_it(self, api, user):
        api.cookies[ACCESS], api.cookies[REFRESH] = "garbage", "garbage"
        assert is_sign_in_form(api.get("/"))
        api.cookies[ACCESS], api.cookies[REFRESH] = "garbage", "garbage"
        assert leads_to(sign_in_by_form(api, user)) == "/"
        assert is_signed_in(api, user)


@pytest.mark.parametrize("path", ["/sign-out", "/sessions/{}/end"])
class TestTheFormsThatEndTheCurrentSession:
    @pytest.mark.parametrize("seconds", [0, 3600], ids=["with a valid access token", "with an expired access token"])
    def test_they_end_only_it_and_clear_the_cookies(self, elsewhere, signed_in_by_form, user, path, seconds, clock):
        session, stolen = session_of(signed_in_by_form), signed_in_by_form.cookies[ACCESS].value
        clock.forward(seconds)
        response = signed_in_by_form.post(path.format(session.id))
        assert leads_to(response) == "/signed-out"
        assert clears_the_tokens(response)
        assert DEVICE not in response.cookies
        assert 'href="/sign-in"' in signed_in_by_form.get("/signed-out").content.decode()
        session.refresh_from_db()
        assert (session.revoked_reason, session.revoked_at) == ("signed_out", clock.now)
        clock.forward(2)
        assert is_sign_in_form(new_browser({ACCESS: stolen}).get("/"))
        assert is_sign_in_form(signed_in_by_form.get("/"))
        assert is_signed_in(elsewhere, user)

    def test_they_work_with_the_csrf_token_of_the_page(self, user, path):
        strict = new_browser(enforce_csrf_checks=True)  # As in production
        login(strict, user)
        path, fields = path.format(session_of(strict).id), {"csrfmiddlewaretoken": csrf_token(strict)}
        assert strict.post(path, fields, secure=True, headers=SAME_ORIGIN).status_code == 302
        assert live() == 0


def test_signing_out_without_a_session_changes_nothing(api, user):
    assert leads_to(api.post("/sign-out")) == "/signed-out"
    sign_in_by_form(api, user)
    assert [leads_to(api.post("/sign-out")) for _ in range(2)] == ["/signed-out"] * 2
    assert SecurityEvent.objects.filter(kind="revoked").count() == 1


class TestEndingAnotherSession:
    def test_it_is_ended_after_a_recent_sign_in(self, elsewhere, session, signed_in_by_form, user, clock):
        clock.forward(900)
        assert leads_to(signed_in_by_form.post(f"/sessions/{session.id}/end")) == "/devices"
        session.refresh_from_db()
        assert session.revoked_reason == "ended_by_user"
        assert is_signed_in(signed_in_by_form, user)
        clock.forward(2)
        assert is_sign_in_form(elsewhere.get("/"))

    def test_an_unknown_session_an_ended_one_and_one_of_another_user_are_not_found(
        self, elsewhere, session, signed_in_by_form, another
    ):
        foreign = another()
        sign_in_by_form(foreign, UserFactory())
        elsewhere.post("/sign-out")
        ids = [UNKNOWN_ID, "1", "not-an-id", "%00", "../../admin", session.id, session_of(foreign).id]
        assert {signed_in_by_form.post(f"/sessions/{one}/end").status_code for one in ids} == {404}
        session.refresh_from_db()
        assert session.revoked_reason == "signed_out"
        assert live() == 2
