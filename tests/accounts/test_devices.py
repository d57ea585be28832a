"""The page *Your devices*: when a device was last seen, a name for it, and signing out everywhere else."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.accounts.steps import text
from tests.browsers import login
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken
from tokens.service.devices import MAX_NAME

pytestmark = pytest.mark.django_db

OTHERS, OLD_NAME = "/sessions/end-others", "Old laptop"
INVALID_NAMES = {
    "none": "",
    "only blanks": "   ",
    "too long": "x" * (MAX_NAME + 1),
    "an escape": "a\x1bb",
    "a NUL": "a\x00b",
    "a line break": "a\nb",
    "a line break of Latin-1": "a\x85b",
    "only a control character": "\x7f",
}


@pytest.fixture
def elsewhere(another: Callable[[], Client], user: Any, clock: Any) -> RefreshToken:
    """A session of the same user in another browser. Without it the page would have only its own session to change."""
    login(another(), user, device_name=OLD_NAME)
    return RefreshToken.objects.get()


@pytest.fixture
def signed_in(elsewhere: RefreshToken, signed_in: Client) -> Client:
    """The user's own browser, signed in after the other one. In the other order `elsewhere` would not be unique."""
    return signed_in


def times(client: Client) -> list[str]:
    """Return the times that the page shows of the only session: of the sign-in, and when it was last seen."""
    return re.findall(r'<time datetime="2030-01-01T([\d:]+)\+00:00"', text(client.get("/")))


def rename(client: Client, session: RefreshToken, name: str) -> Any:
    return client.post(f"/sessions/{session.id}/rename", {"name": name})


def name_of(session: RefreshToken) -> str:
    session.device.refresh_from_db()
    return session.device.name


class TestWhatThePageShows:
    def test_the_time_when_a_device_was_last_seen_is_rounded_to_ten_minutes(self, clock, api, user):
        """A more precise time would tell an attacker when the user is away."""
        login(api, user)
        clock.forward(20 * 60 - 1)
        api.get("/")
        assert times(api) == ["12:00:00", "12:10:00"]
        assert RefreshToken.objects.get().since == clock.now

    def test_the_time_of_the_sign_in_tells_devices_of_the_same_name_apart(self, api, another, user, clock):
        for _ in range(2):
            login(another(), user, device_name="Firefox")
            clock.forward(60)
        login(api, user, device_name="Laptop")
        names = re.findall(r"<h3[^>]*>(.*?)</h3>", re.sub(r"<time[^>]*>", "", text(api.get("/"))))
        assert (names[0], len({*names})) == ("Laptop", 3)
        assert all(name.startswith("Firefox · Signed in ") for name in names[1:])

    def test_the_response_is_not_stored(self, signed_in):
        assert "no-store" in signed_in.get("/")["Cache-Control"]

    def test_a_user_with_one_session_is_not_offered_to_sign_out_elsewhere(self, api, user):
        login(api, user)
        html = text(api.get("/"))
        assert "You are signed in only on this device." in html
        assert OTHERS not in html

    def test_many_sessions_cost_no_more_queries_than_few(self, signed_in, user, another):
        signed_in.get("/")
        with CaptureQueriesContext(connection) as few:
            signed_in.get("/")
        for _ in range(10):
            login(another(), user)
        with CaptureQueriesContext(connection) as many:
            assert text(signed_in.get("/")).count("/rename") == 12
        assert len(many) == len(few)


class TestNamingADevice:
    def test_the_name_is_stripped_escaped_and_confirmed_once(self, signed_in, elsewhere):
        response = rename(signed_in, elsewhere, "  Küche <b>& Bad</b> ")
        assert (response.status_code, response["Location"]) == (302, "/devices")
        assert name_of(elsewhere) == "Küche <b>& Bad</b>"
        html = signed_in.get("/").content.decode()
        assert "The device is called “Küche &lt;b&gt;&amp; Bad&lt;/b&gt;” now." in html
        assert "<b>" not in html
        assert "is called" not in signed_in.get("/").content.decode()

    def test_long_after_the_sign_in_no_password_is_asked_for(self, signed_in, clock):
        clock.forward(3600)
        own = RefreshToken.objects.exclude(device__name=OLD_NAME).get()
        assert rename(signed_in, own, "Desk").status_code == 302
        assert name_of(own) == "Desk"

    @pytest.mark.parametrize("name", INVALID_NAMES.values(), ids=INVALID_NAMES)
    def test_an_invalid_name_is_reported_beside_the_field(self, signed_in, elsewhere, name):
        response = rename(signed_in, elsewhere, name)
        html = text(response)
        assert response.context["form"].errors["name"]
        assert html.count('aria-invalid="true"') == 1
        assert f'aria-describedby="error-{elsewhere.id}"' in html
        assert "<title>Error: Your devices" in html
        assert name_of(elsewhere) == OLD_NAME

    def test_the_longest_name_is_accepted(self, signed_in, elsewhere):
        assert rename(signed_in, elsewhere, "x" * MAX_NAME).status_code == 302

    def test_another_users_device_is_not_found(self, signed_in, another):
        other = UserFactory()
        login(another(), other, device_name="Theirs")
        theirs = RefreshToken.objects.get(user=other)
        assert rename(signed_in, theirs, "Mine").status_code == 404
        assert name_of(theirs) == "Theirs"

    def test_the_device_of_an_ended_session_is_not_found(self, signed_in, elsewhere, clock):
        RefreshToken.objects.filter(id=elsewhere.id).update(revoked_at=clock.now)
        assert rename(signed_in, elsewhere, "Mine").status_code == 404


def test_signing_out_everywhere_else_ends_all_other_sessions_of_the_user(signed_in, user, another):
    other = UserFactory()
    login(another(), other)
    response = signed_in.post(OTHERS)
    assert (response.status_code, response["Location"]) == (302, "/devices")
    assert "You are signed out everywhere else." in text(signed_in.get("/"))
    reasons = RefreshToken.objects.order_by("id").values_list("user", "revoked_reason")
    assert list(reasons) == [(user.pk, "ended_by_user"), (user.pk, ""), (other.pk, "")]


@pytest.mark.parametrize("path", [OTHERS, "/sessions/{}/end"])
def test_long_after_the_sign_in_the_password_is_asked_for_before_a_session_ends(signed_in, elsewhere, clock, path):
    clock.forward(901)
    assert signed_in.post(path.format(elsewhere.id))["Location"] == "/sign-in/again?next=/devices"
    assert signed_in.get("/sign-in/again?next=/devices").status_code == 200
    assert RefreshToken.objects.live().count() == 2
    signed_in.post("/sign-in/again", {"current_password": PASSWORD})
    signed_in.post(path.format(elsewhere.id))
    assert RefreshToken.objects.live().exclude(id=elsewhere.id).count() == RefreshToken.objects.live().count() == 1


@pytest.mark.parametrize("path", [OTHERS, "/sessions/{}/rename", "/sessions/{}/end"])
class TestEachForm:
    def test_an_anonymous_user_is_redirected_to_sign_in_and_then_to_the_start_page(self, another, elsewhere, path):
        response = another().post(path.format(elsewhere.id), {"name": "Mine"})
        assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/devices")
        assert RefreshToken.objects.live().contains(elsewhere)

    def test_it_cannot_be_requested_by_get(self, signed_in, elsewhere, path):
        response = signed_in.get(path.format(elsewhere.id), headers={"Accept": "text/html"})
        assert (response.status_code, response["Allow"]) == (405, "POST")
        assert "<h1>" in response.content.decode()
