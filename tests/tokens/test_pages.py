"""*Your devices*: what one is told of them, a name for one, an end to all others."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browsers import login
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken
from tokens.service.client import MAX_NAME

pytestmark = pytest.mark.django_db

OTHERS = "/sessions/end-others"


@pytest.fixture
def elsewhere(another: Callable[[], Client], user: Any, clock: Any) -> RefreshToken:
    """A session of the same user in another browser."""
    login(another(), user, device_name="Old laptop")
    return RefreshToken.objects.get()


@pytest.fixture
def signed_in(elsewhere: RefreshToken, api: Client, user: Any) -> Client:
    login(api, user)
    return api


def text(response: Any) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode())


def rename(client: Client, session: RefreshToken, name: str) -> Any:
    return client.post(f"/sessions/{session.id}/rename", {"name": name})


def test_when_a_device_was_last_seen_is_told_to_ten_minutes(api, user, clock):
    """More would tell a thief when to come."""
    login(api, user)
    clock.forward(20 * 60 - 1)
    html = text(api.get("/"))
    html = text(api.get("/"))
    assert RefreshToken.objects.get().since == clock.now
    times = re.findall(r'<time datetime="([^"]+)"', html)
    assert times == ["2030-01-01T12:00:00+00:00", "2030-01-01T12:10:00+00:00"]


def test_a_device_that_has_just_signed_in_was_not_last_seen_before_it(api, user, clock):
    clock.forward(61)
    login(api, user)
    assert re.findall(r'<time datetime="([^"]+)"', text(api.get("/"))) == ["2030-01-01T12:01:01+00:00"] * 2


def test_the_page_is_kept_by_no_cache_and_not_by_the_browser(signed_in):
    assert "no-store" in signed_in.get("/")["Cache-Control"]


def test_whoever_is_signed_in_here_alone_is_told(api, user):
    login(api, user)
    html = text(api.get("/"))
    assert "You are signed in on this device alone." in html
    assert OTHERS not in html


def test_many_sessions_cost_no_more_queries_than_few(signed_in, user, another):
    signed_in.get("/")
    with CaptureQueriesContext(connection) as few:
        signed_in.get("/")
    for _ in range(10):
        login(another(), user)
    with CaptureQueriesContext(connection) as many:
        assert text(signed_in.get("/")).count("/rename") == 12
    assert len(many) == len(few)


# A name


def test_a_device_is_given_a_name(signed_in, elsewhere):
    response = rename(signed_in, elsewhere, "  Küche <b>& Bad</b> ")
    assert (response.status_code, response["Location"]) == (302, "/")
    elsewhere.device.refresh_from_db()
    assert elsewhere.device.name == "Küche <b>& Bad</b>"
    html = signed_in.get("/").content.decode()
    assert "The device is called “Küche &lt;b&gt;&amp; Bad&lt;/b&gt;” now." in html
    assert "<b>" not in html
    assert "is called" not in signed_in.get("/").content.decode(), "It is said once."


def test_one_may_name_this_device_however_long_ago_one_signed_in(signed_in, clock):
    clock.forward(3600)
    own = RefreshToken.objects.exclude(device__name="Old laptop").get()
    assert rename(signed_in, own, "Desk").status_code == 302
    own.device.refresh_from_db()
    assert own.device.name == "Desk"


@pytest.mark.parametrize("name", ["", "   ", "x" * (MAX_NAME + 1), "a\x1bb", "a\x00b", "a\nb", "a\x85b", "\x7f"])
def test_what_is_no_name_is_said_beside_the_field(signed_in, elsewhere, name):
    response = rename(signed_in, elsewhere, name)
    html = text(response)
    assert response.context["form"].errors["name"]
    assert html.count('aria-invalid="true"') == 1
    assert f'aria-describedby="error-{elsewhere.id}"' in html
    assert "<title>Error: Your devices" in html
    elsewhere.device.refresh_from_db()
    assert elsewhere.device.name == "Old laptop"


def test_the_longest_name_that_there_may_be_is_one(signed_in, elsewhere):
    assert rename(signed_in, elsewhere, "x" * MAX_NAME).status_code == 302


def test_nobody_elses_device_is_named(signed_in, another):
    stranger = UserFactory()
    login(another(), stranger, device_name="Theirs")
    theirs = RefreshToken.objects.get(user=stranger)
    assert rename(signed_in, theirs, "Mine").status_code == 404
    theirs.device.refresh_from_db()
    assert theirs.device.name == "Theirs"


def test_the_device_of_an_ended_session_is_not_named(signed_in, elsewhere, clock):
    RefreshToken.objects.filter(id=elsewhere.id).update(revoked_at=clock.now)
    assert rename(signed_in, elsewhere, "Mine").status_code == 404


# All others


def test_all_others_end_and_this_one_stays(signed_in, user, another):
    stranger = UserFactory()
    login(another(), stranger)
    response = signed_in.post(OTHERS)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert "You are signed out everywhere else." in text(signed_in.get("/"))
    reasons = RefreshToken.objects.filter(user=user).order_by("id").values_list("revoked_reason", flat=True)
    assert list(reasons) == ["ended_by_user", ""]
    assert RefreshToken.objects.live().filter(user=stranger).exists()


def test_long_after_the_sign_in_the_password_is_asked_for_first(signed_in, user, clock):
    clock.forward(901)
    assert signed_in.post(OTHERS)["Location"] == "/sign-in/again?next=/"
    assert RefreshToken.objects.live().count() == 2
    signed_in.post("/sign-in/again", {"current_password": PASSWORD})
    signed_in.post(OTHERS)
    assert RefreshToken.objects.live().count() == 1


@pytest.mark.parametrize("path", [OTHERS, "/sessions/{}/rename", "/sessions/{}/end"])
class TestAForm:
    def test_of_a_stranger_leads_to_the_page_to_sign_in_and_then_home(self, another, elsewhere, path):
        response = another().post(path.format(elsewhere.id), {"name": "Mine"})
        assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/")

    def test_without_its_csrf_token_is_refused(self, user, elsewhere, path):
        strict = Client(enforce_csrf_checks=True)
        login(strict, user)
        response = strict.post(path.format(elsewhere.id), {"name": "Mine"}, headers={"Origin": "https://testserver"})
        assert response.status_code == 403

    def test_of_another_site_is_refused(self, signed_in, elsewhere, path):
        given = {"data": {"name": "Mine"}, "headers": {"Origin": "https://evil.test"}}
        assert signed_in.post(path.format(elsewhere.id), **given).status_code == 403
        assert RefreshToken.objects.live().count() == 2

    def test_is_no_link(self, signed_in, elsewhere, path):
        response = signed_in.get(path.format(elsewhere.id), headers={"Accept": "text/html"})
        assert (response.status_code, response["Allow"]) == (405, "POST")
        assert "<h1>" in response.content.decode()
