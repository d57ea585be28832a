"""The demo's views: they report what the protocol really did with a request. Only the passing of time is simulated."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import include, path

from config.demo import views
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as project
from tests.browsers import ACCESS, FIREFOX, REFRESH, login
from tests.factories import UserFactory
from tests.tokens.service.holders import GRACE, STILL_TIME
from tests.tokens.web_steps import EXPIRED, signed_in_as, values_of
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import acknowledgements

__all__ = ["EXPIRED", "handler400", "handler403", "handler404", "handler500"]

urlpatterns = [path("", include("config.demo.urls")), *project]
"""The project's URLs, as they are with DEBUG on."""

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

REFUSED = {"outcome": "refused"}
MOVED = ("since", "authenticated_at", "idle_expires_at", "expires_at", "created_at")
BEHIND_THE_SCENES = pytest.mark.parametrize("what", ["time", "steal", "thief", "revoke"])


@pytest.fixture
def signed_in(clock: Any, signed_in: Client) -> Client:
    """The signed-in browser at generation 0, by a clock that stands still. Otherwise seconds would differ at random."""
    return signed_in


@pytest.fixture(autouse=True)
def _development(settings: Any) -> None:
    """Set the folders of templates as with DEBUG on. Otherwise the links to the demo would be on no page."""
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [settings.BASE_DIR / "config/demo/templates", *engine["DIRS"]]}]


@pytest.fixture(autouse=True)
def _no_thieves() -> None:
    """Forgets the cookies that thieves have stolen in other tests. They would count against `demo.MAX_THIEVES`."""
    views._jars.clear()


def ask(client: Client, query: str = "") -> Any:
    response = client.get(f"/demo/ask{query}")
    assert response.status_code == 200
    return response.json()


def outcome(client: Client) -> tuple[str, int]:
    """Ask, and return what happened, and the generation to which it led."""
    answer = ask(client)
    return answer["outcome"], answer["generation"]


def backstage(client: Client, what: str, **fields: Any) -> Any:
    return client.post(f"/demo/{what}", fields, headers={"Authorization": f"Bearer {views.nobody()}"})


def let_pass(client: Client, seconds: Any) -> Any:
    return backstage(client, "time", seconds=seconds).json()


def tokens_of(client: Client) -> dict[str, str]:
    return values_of(client, ACCESS, REFRESH)


class TestThePage:
    @pytest.mark.urls("config.urls")
    @pytest.mark.parametrize("name", ["", "/ask", "/time", "/steal", "/thief", "/revoke"])
    def test_with_debug_off_it_does_not_exist(self, signed_in, name):
        assert signed_in.get(f"/demo{name}").status_code == signed_in.post(f"/demo{name}").status_code == 404

    def test_an_anonymous_user_gets_a_button_that_signs_in_if_the_account_exists(self, api, settings):
        settings.DEBUG = True  # Otherwise the published password is refused.
        assert b"Sign in as" not in api.get("/demo").content
        assert 'href="/sign-in?next=/demo"' in api.get("/demo").content.decode()
        UserFactory(email="demo@latchkey.test", password="latchkey-demo")
        html = api.get("/demo").content.decode()
        form = html[html.index('action="/sign-in"') :].partition("</form>")[0]
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        fields.pop("csrfmiddlewaretoken")
        assert api.post("/sign-in", fields)["Location"] == "/demo"
        assert json.loads(api.get("/demo").context["answer"])["outcome"] == "served"

    def test_somebody_else_gets_no_button_that_signs_in_as_the_demos_account(self, signed_in):
        UserFactory(email="demo@latchkey.test", password="latchkey-demo")
        assert b"Sign in as" not in signed_in.get("/demo").content

    @pytest.mark.parametrize(
        ("lifetime", "text", "german"),
        [
            (20, "20 seconds", "20 Sekunden"),
            (119, "119 seconds", "119 Sekunden"),
            (120, "2 minutes", "2 Minuten"),
            (150, "2.5 minutes", "2,5 Minuten"),
        ],
    )
    def test_it_names_the_lifetime_in_seconds_below_two_minutes(self, api, settings, lifetime, text, german):
        settings.TOKENS = {**settings.TOKENS, "ACCESS_LIFETIME": lifetime}
        html = api.get("/demo").content.decode()
        assert f"It is valid for {text}, shortened at random by up to 5&nbsp;%," in html
        assert f"After {text} the access token" in html
        assert f"Nach {german} gilt" in api.get("/demo", headers={"Accept-Language": "de"}).content.decode()

    def test_it_opens_the_step_that_the_address_names(self, api):
        opened = re.compile(r'<li id="step-(\d)"[^>]*>\s*<details name="story" open>')
        for query, number in {"": "1", "?step=7": "7", "?step=9": "1", "?step=x": "1"}.items():
            assert opened.findall(api.get(f"/demo{query}").content.decode()) == [number]

    def test_after_the_end_of_a_session_the_page_says_so(self, signed_in, clock):
        assert b"Your session in this browser has ended" not in signed_in.get("/demo").content
        backstage(signed_in, "revoke")
        clock.forward(EXPIRED)
        for _ in range(2):
            assert b"Your session in this browser has ended" in signed_in.get("/demo").content

    def test_only_somebody_who_is_new_is_led_to_it(self, signed_in, another):
        new, card = another(), b"New here?"
        assert card in new.get("/sign-in").content
        html = new.get("/sign-in?next=/demo%3Fstep%3D7").content
        assert (b"Password" in html, card in html) == (True, False)
        assert b'href="/demo"' in signed_in.get("/devices").content
        assert card not in signed_in.get("/devices").content
        backstage(signed_in, "revoke")
        html = signed_in.get("/sign-in?next=/devices").content
        assert (b"Your session has ended" in html, card in html) == (True, False)

    def test_it_reports_the_request_that_loaded_it(self, signed_in, clock):
        def reported() -> Any:
            return json.loads(signed_in.get("/demo").context["answer"])

        assert reported()["outcome"] == "served"
        clock.forward(EXPIRED)
        answer = reported()
        assert (answer["outcome"], answer["generation"]) == ("refreshed", 1)
        assert answer["expires_in"] == answer["lifetime"] <= 600

    def test_it_contains_no_token_and_nothing_that_a_content_security_policy_forbids(self, signed_in):
        text = signed_in.get("/demo").content.decode()
        assert 'id="demo"' in text
        assert not [token for token in tokens_of(signed_in).values() if token in text]
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)

    @pytest.mark.parametrize(
        "changed", [{"MODES": ["scoped"]}, {"REUSE_GRACE": 0}], ids=["without mode cookie", "without a grace"]
    )
    def test_with_settings_that_it_cannot_show_it_says_so(self, api, user, settings, changed):
        settings.TOKENS = changed
        login(api, user)
        text = api.get("/demo").content.decode()
        assert ("This server has other settings" in text, 'id="demo"' in text) == (True, False)


class TestARequest:
    def test_each_outcome_is_reported_by_its_word(self, signed_in, clock):
        assert ask(signed_in)["outcome"] == "served"
        first = tokens_of(signed_in)
        clock.forward(EXPIRED)
        assert outcome(signed_in) == ("refreshed", 1)
        signed_in.cookies.load(first)
        assert ask(signed_in)["outcome"] == "repeated"
        signed_in.cookies.load(first)
        clock.forward(GRACE)
        assert outcome(signed_in) == ("recovered", 1)
        clock.forward(STILL_TIME)
        assert ask(signed_in)["outcome"] == "served", "This acknowledges generation 1."
        signed_in.cookies.load(first)
        assert ask(signed_in) == REFUSED

    def test_a_response_can_be_lost_after_the_server_has_rotated_the_token(self, signed_in, clock):
        clock.forward(EXPIRED)
        before = tokens_of(signed_in)
        answer = ask(signed_in, "?lose")
        assert (answer["outcome"], answer["generation"]) == ("refreshed", 1)
        assert (RefreshToken.objects.get().generation, tokens_of(signed_in)) == (1, before)
        clock.forward(GRACE)
        assert ask(signed_in)["outcome"] == "recovered"

    def test_the_content_of_the_refresh_token_is_shown_without_its_secret(self, signed_in, clock):
        session = str(RefreshToken.objects.get().id)
        assert ask(signed_in, "?claims")["refresh"] == {"session": session, "generation": 0}
        clock.forward(EXPIRED)
        replaced = ask(signed_in, "?claims")["refresh"]
        assert replaced == {"session": session, "generation": 1}, "It has just been replaced."
        assert not [text for text in tokens_of(signed_in).values() if text in str(ask(signed_in, "?claims"))]

    def test_an_anonymous_user_is_refused(self, api):
        assert ask(api) == REFUSED


class TestTime:
    def test_the_access_token_really_expires(self, signed_in):
        before, passed = ask(signed_in), let_pass(signed_in, EXPIRED)
        assert (passed["lifetime"], passed["expires_in"]) == (before["lifetime"], before["expires_in"] - EXPIRED)
        assert signed_in.get("/api/auth/sessions").status_code == 200, "The request was refreshed."
        assert RefreshToken.objects.get().generation == 1

    def test_the_rest_of_a_tokens_lifetime_can_pass(self, signed_in):
        left, passed = ask(signed_in)["expires_in"], let_pass(signed_in, "the rest")
        assert (passed["passed"], passed["expires_in"]) == (left, 0)
        assert let_pass(signed_in, "the rest")["passed"] == 0
        assert ask(signed_in)["outcome"] == "refreshed"

    def test_zero_seconds_change_nothing(self, signed_in):
        before = RefreshToken.objects.values().get(), ask(signed_in)["expires_in"]
        left = let_pass(signed_in, 0)["expires_in"]
        assert (RefreshToken.objects.values().get(), left) == before

    def test_it_passes_for_the_row_too_and_for_no_other_users_row(self, signed_in, another):
        login(another(), UserFactory())
        before = list(RefreshToken.objects.order_by("id"))
        let_pass(signed_in, 120)
        own, others = [
            {name: getattr(old, name) - getattr(new, name) for name in MOVED}
            for old, new in zip(before, RefreshToken.objects.order_by("id"), strict=True)
        ]
        assert own == {**dict.fromkeys(MOVED, timedelta(seconds=120)), "created_at": timedelta(0)}
        assert others == dict.fromkeys(MOVED, timedelta(0))

    def test_it_passes_without_a_refresh(self, signed_in):
        before = tokens_of(signed_in)[REFRESH]
        for _ in range(2):
            assert let_pass(signed_in, EXPIRED)["expires_in"] < 0
        assert (tokens_of(signed_in)[REFRESH], RefreshToken.objects.get().generation) == (before, 0)

    def test_it_passes_without_an_acknowledgement(self, signed_in):
        for _ in range(3):
            let_pass(signed_in, STILL_TIME)
        assert not acknowledgements.flush()
        assert ask(signed_in)["outcome"] == "served"
        assert acknowledgements.flush()

    @pytest.mark.parametrize(
        "seconds",
        ["", "-5", "1.5", "100000", "9" * 5000, "١٢", "soon"],
        ids=["none", "negative", "a fraction", "too many", "a long number", "digits of another script", "a word"],
    )
    def test_an_invalid_number_of_seconds_is_400_and_changes_nothing(self, signed_in, seconds):
        before = RefreshToken.objects.values().get()
        status = backstage(signed_in, "time", seconds=seconds).status_code
        assert (status, RefreshToken.objects.values().get()) == (400, before)

    @BEHIND_THE_SCENES
    def test_a_form_without_djangos_csrf_token_is_refused(self, user, what):
        browser = Client(enforce_csrf_checks=True, headers={"User-Agent": FIREFOX})
        login(browser, user)
        assert backstage(browser, what, seconds=EXPIRED).status_code == 403

    @BEHIND_THE_SCENES
    def test_a_form_of_an_anonymous_user_is_refused(self, api, what):
        assert backstage(api, what, seconds=1).json() == REFUSED


@pytest.fixture
def at_home(api: Client, user: Any, settings: Any, live_server: Any) -> Client:
    """A browser that has signed in at a real server. The thief's requests need one, as they go over the network."""
    settings.DEBUG = True
    settings.ORIGIN = live_server.url
    login(api, user)
    return api


class TestTheThief:
    def test_before_the_theft_there_is_none(self, signed_in):
        assert backstage(signed_in, "thief").status_code == 409

    def test_only_the_newest_stolen_cookies_are_kept(self, signed_in, user, monkeypatch):
        monkeypatch.setattr(views, "MAX_THIEVES", 1)
        assert backstage(signed_in, "steal").status_code == 204
        backstage(signed_in_as(user), "steal")
        assert backstage(signed_in, "thief").status_code == 409

    @pytest.mark.django_db(transaction=True)
    def test_the_thief_sends_requests_until_both_are_signed_out(self, at_home):
        backstage(at_home, "steal")
        assert backstage(at_home, "thief").json()["outcome"] == "served"
        let_pass(at_home, EXPIRED)
        assert ask(at_home)["outcome"] == "refreshed"
        let_pass(at_home, 120)
        assert ask(at_home)["outcome"] == "served"
        answer = backstage(at_home, "thief")
        assert answer.json() == REFUSED, "The thief's access token has expired too."
        assert not answer.cookies
        assert ask(at_home) == REFUSED
        session = RefreshToken.objects.get()
        assert session.revoked_reason == RefreshToken.Reason.REUSE
        event = SecurityEvent.objects.get(kind=SecurityEvent.Kind.REUSE_DETECTED)
        assert (event.session_id, event.user_agent) == (session.id, "Thief")

    @pytest.mark.django_db(transaction=True)
    def test_the_thief_keeps_the_tokens_of_a_refresh(self, at_home):
        backstage(at_home, "steal")
        let_pass(at_home, EXPIRED)
        assert [backstage(at_home, "thief").json()["outcome"] for _ in range(2)] == ["refreshed", "served"]
        assert ask(at_home)["outcome"] == "repeated", "The user's browser asks moments later."


@pytest.mark.django_db(transaction=True)
def test_the_mail_about_the_thief_is_in_the_language_of_the_user(user, settings, live_server, mailoutbox):
    settings.DEBUG, settings.ORIGIN = True, live_server.url
    german = Client(headers={"User-Agent": FIREFOX, "Accept-Language": "de"})
    login(german, user)
    mailoutbox.clear()
    backstage(german, "steal")
    for seconds in (EXPIRED, 120):
        backstage(german, "time", seconds=seconds)
        ask(german)
    assert backstage(german, "thief").json() == {"outcome": "refused"}
    (mail,) = mailoutbox
    assert mail.subject == "Zu Ihrer Sicherheit wurde eine Sitzung beendet"
    assert "Gerät: “Firefox auf Windows”\n" in mail.body
