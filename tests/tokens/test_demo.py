"""The demo's views: what they tell of a request is what the protocol did, and time is the only trick."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import include, path

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as project
from tests.browsers import ACCESS, FIREFOX, REFRESH, login
from tests.factories import UserFactory
from tests.tokens.service.holders import GRACE, STILL_TIME
from tokens import demo
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import acknowledgements

__all__ = ["handler400", "handler403", "handler404", "handler500"]

urlpatterns = [path("", include("tokens.demo")), *project]
"""The project's URLs, as they are with DEBUG on."""

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

EXPIRED = 601
"""Seconds after which no access token is good any more."""


@pytest.fixture
def signed_in(api: Client, user: Any, clock: Any) -> Client:
    """A browser whose session has just begun, at generation 0."""
    login(api, user)
    return api


@pytest.fixture(autouse=True)
def _no_thieves() -> None:
    demo._jars.clear()


def ask(client: Client, query: str = "") -> Any:
    response = client.get(f"/demo/ask{query}")
    assert response.status_code == 200
    return response.json()


def backstage(client: Client, what: str, **fields: Any) -> Any:
    return client.post(f"/demo/{what}", fields, headers={"Authorization": "Bearer "})


def cookies(client: Client) -> dict[str, str]:
    return {name: client.cookies[name].value for name in (ACCESS, REFRESH)}


def put_back(client: Client, values: dict[str, str]) -> None:
    for name, value in values.items():
        client.cookies[name] = value


class TestThePage:
    @pytest.mark.urls("config.urls")
    @pytest.mark.parametrize("name", ["", "/ask", "/time", "/steal", "/thief"])
    def test_it_is_not_there_with_debug_off(self, signed_in, name):
        assert signed_in.get(f"/demo{name}").status_code == 404
        assert signed_in.post(f"/demo{name}").status_code == 404

    def test_a_stranger_is_led_to_sign_in_and_back(self, api):
        assert api.get("/demo")["Location"] == "/sign-in?next=/demo"

    def test_it_tells_of_the_request_that_asked_for_it(self, signed_in, clock):
        def told() -> Any:
            return json.loads(signed_in.get("/demo").context["answer"])

        assert told()["outcome"] == "served"
        clock.forward(EXPIRED)
        answer = told()
        assert (answer["outcome"], answer["generation"]) == ("refreshed", 1)
        assert answer["expires_in"] == answer["lifetime"] <= 600

    def test_no_token_is_in_it(self, signed_in):
        text = signed_in.get("/demo").content.decode()
        assert 'id="demo"' in text
        for value in cookies(signed_in).values():
            assert value not in text

    def test_it_asks_for_nothing_that_a_content_security_policy_forbids(self, signed_in):
        text = signed_in.get("/demo").content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)

    @pytest.mark.parametrize("changed", [{"MODES": ["scoped"]}, {"REUSE_GRACE": 0}])
    def test_where_there_is_nothing_to_show_it_says_so(self, api, user, settings, changed):
        settings.TOKENS = changed
        login(api, user)
        text = api.get("/demo").content.decode()
        assert "This server is set up for others" in text
        assert 'id="demo"' not in text


class TestARequest:
    def test_each_outcome_is_told_by_its_word(self, signed_in, clock):
        assert ask(signed_in)["outcome"] == "served"
        first = cookies(signed_in)
        clock.forward(EXPIRED)
        answer = ask(signed_in)
        assert (answer["outcome"], answer["generation"]) == ("refreshed", 1)
        put_back(signed_in, first)
        assert ask(signed_in)["outcome"] == "repeated"
        put_back(signed_in, first)
        clock.forward(GRACE)
        answer = ask(signed_in)
        assert (answer["outcome"], answer["generation"]) == ("recovered", 1)
        clock.forward(STILL_TIME)
        assert ask(signed_in)["outcome"] == "served", "which acknowledges generation 1"
        put_back(signed_in, first)
        assert ask(signed_in) == {"outcome": "refused"}

    def test_its_answer_is_lost_after_the_server_has_moved_on(self, signed_in, clock):
        clock.forward(EXPIRED)
        before = cookies(signed_in)
        answer = ask(signed_in, "?lose")
        assert (answer["outcome"], answer["generation"]) == ("refreshed", 1)
        assert RefreshToken.objects.get().generation == 1
        assert cookies(signed_in) == before
        clock.forward(GRACE)
        assert ask(signed_in)["outcome"] == "recovered"

    def test_a_stranger_is_refused(self, api):
        assert ask(api) == {"outcome": "refused"}


class TestTime:
    def test_the_token_expires_for_real(self, signed_in, clock):
        before = ask(signed_in)
        passed = backstage(signed_in, "time", seconds=EXPIRED).json()
        assert passed["lifetime"] == before["lifetime"]
        assert passed["expires_in"] == before["expires_in"] - EXPIRED
        assert signed_in.get("/api/auth/sessions").status_code == 200, "it was refreshed"
        assert RefreshToken.objects.get().generation == 1

    def test_the_rest_of_a_tokens_life_passes(self, signed_in, clock):
        left = ask(signed_in)["expires_in"]
        passed = backstage(signed_in, "time", seconds="the rest").json()
        assert (passed["passed"], passed["expires_in"]) == (left, 0)
        assert backstage(signed_in, "time", seconds="the rest").json()["passed"] == 0
        assert ask(signed_in)["outcome"] == "refreshed"

    def test_no_time_passes_for_who_only_looks(self, signed_in, clock):
        before = RefreshToken.objects.values().get(), ask(signed_in)["expires_in"]
        answer = backstage(signed_in, "time", seconds=0).json()
        assert (RefreshToken.objects.values().get(), answer["expires_in"]) == before

    def test_it_passes_for_the_row_as_well(self, signed_in, clock):
        before = RefreshToken.objects.get()
        backstage(signed_in, "time", seconds=120)
        after = RefreshToken.objects.get()
        for name in ("since", "authenticated_at", "idle_expires_at", "expires_at"):
            assert getattr(before, name) - getattr(after, name) == timedelta(seconds=120), name
        assert after.created_at == before.created_at

    def test_it_passes_for_nobody_else(self, signed_in, clock):
        other = Client(headers={"User-Agent": FIREFOX})
        login(other, UserFactory())
        before = RefreshToken.objects.order_by("id").last()
        backstage(signed_in, "time", seconds=EXPIRED)
        assert before is not None
        assert RefreshToken.objects.get(id=before.id).since == before.since
        assert ask(other)["outcome"] == "served"

    def test_it_passes_without_a_refresh(self, signed_in, clock):
        before = cookies(signed_in)[REFRESH]
        for _ in range(2):
            assert backstage(signed_in, "time", seconds=EXPIRED).json()["expires_in"] < 0
        assert cookies(signed_in)[REFRESH] == before
        assert RefreshToken.objects.get().generation == 0

    def test_it_passes_without_an_acknowledgement(self, signed_in, clock):
        for _ in range(3):
            backstage(signed_in, "time", seconds=STILL_TIME)
        assert not acknowledgements.flush()
        assert ask(signed_in)["outcome"] == "served"
        assert acknowledgements.flush()

    @pytest.mark.parametrize("seconds", ["", "-5", "1.5", "100000", "9" * 5000, "١٢", "soon"])
    def test_what_is_no_time_is_a_bad_request(self, signed_in, seconds):
        before = RefreshToken.objects.values().get()
        assert backstage(signed_in, "time", seconds=seconds).status_code == 400
        assert RefreshToken.objects.values().get() == before

    @pytest.mark.parametrize("what", ["time", "steal", "thief"])
    def test_nothing_happens_behind_the_scenes_without_djangos_csrf_token(self, user, clock, what):
        browser = Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})
        login(browser, user)
        assert backstage(browser, what, seconds=EXPIRED).status_code == 403

    @pytest.mark.parametrize("what", ["time", "steal", "thief"])
    def test_a_stranger_has_nothing_behind_the_scenes(self, api, what):
        assert backstage(api, what, seconds=1).json() == {"outcome": "refused"}


@pytest.fixture
def at_home(api: Client, user: Any, settings: Any, live_server: Any) -> Client:
    """A browser that has signed in at a server which the thief can reach, as in development."""
    settings.DEBUG = True
    settings.ORIGIN = live_server.url
    login(api, user)
    return api


class TestTheThief:
    def test_there_is_none_before_the_theft(self, signed_in):
        assert backstage(signed_in, "thief").status_code == 409

    def test_the_jars_do_not_pile_up(self, signed_in, user, another, monkeypatch):
        monkeypatch.setattr(demo, "MAX_THIEVES", 1)
        assert backstage(signed_in, "steal").status_code == 204
        other = another()
        login(other, user)
        backstage(other, "steal")
        assert backstage(signed_in, "thief").status_code == 409

    @pytest.mark.django_db(transaction=True)
    def test_the_thief_asks_by_requests_of_his_own_until_both_are_out(self, at_home):
        backstage(at_home, "steal")
        assert backstage(at_home, "thief").json()["outcome"] == "served"
        backstage(at_home, "time", seconds=EXPIRED)
        assert ask(at_home)["outcome"] == "refreshed"
        backstage(at_home, "time", seconds=120)
        assert ask(at_home)["outcome"] == "served"
        answer = backstage(at_home, "thief")
        assert answer.json() == {"outcome": "refused"}, "his access token has expired as well"
        assert not answer.cookies
        assert ask(at_home) == {"outcome": "refused"}
        session = RefreshToken.objects.get()
        assert session.revoked_reason == RefreshToken.Reason.REUSE
        event = SecurityEvent.objects.get(kind=SecurityEvent.Kind.REUSE_DETECTED)
        assert (event.session_id, event.user_agent) == (session.id, "Thief")

    @pytest.mark.django_db(transaction=True)
    def test_the_thief_keeps_what_he_is_given(self, at_home):
        backstage(at_home, "steal")
        backstage(at_home, "time", seconds=EXPIRED)
        assert [backstage(at_home, "thief").json()["outcome"] for _ in range(2)] == ["refreshed", "served"]
        assert ask(at_home)["outcome"] == "repeated", "the owner, moments later"
