"""The first refresh of a session for which Django's session stands: its response is lost, or a copy makes it.

The browser has Django's session, and neither a valid access token nor a newer refresh token.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.test import Client

from tests import parallel
from tests.browsers import ACCESS, REFRESH, post, refresh
from tests.tokens.web import compatibility_urls
from tests.tokens.web.django.test_django_sign_in import copy_of
from tests.tokens.web_steps import EXPIRED, NAVIGATION, signed_in_as, who
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(compatibility_urls.__name__)]

HOURS = 6 * 3600
"""So long a session without "remember me" goes on without a refresh."""
USED = 100
"""Seconds after which the use of an access token acknowledges its generation."""
Kind, Reason = SecurityEvent.Kind, RefreshToken.Reason


@pytest.fixture(params=["db", "cached_db"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where Django keeps its sessions. Each writes what is noted in the session in another way."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


@pytest.fixture(params=["force_login", "before us"])
def browser(request: pytest.FixtureRequest, clock: Any, user: Any, signed_in_by_django: Any) -> Client:
    """A browser that has only Django's session, whose access token has expired, if there was one."""
    if request.param == "before us":
        client: Client = signed_in_by_django(user)
        return client
    client = Client()
    client.force_login(user)
    clock.forward(EXPIRED)
    return copy_of(client)


@pytest.fixture
def at_once(clock: Any, user: Any, in_a_table: None) -> Client:
    """The same, if the sign-in was made outside of our middleware. Its access token has expired."""
    client = Client()
    client.force_login(user)
    copy = copy_of(client)
    clock.forward(EXPIRED)
    return copy


def lose(client: Client, request: Callable[[Client], Any] = who) -> None:
    """Send a request whose response is lost."""
    request(copy_of(client))


def use(client: Client, clock: Any) -> None:
    """Use the access token when its use acknowledges its generation."""
    clock.forward(USED)
    assert who(client)


def ending() -> str:
    return RefreshToken.objects.get().revoked_reason


@pytest.mark.parametrize("later", [29, 31, HOURS], ids=["within the grace", "after the grace", "hours later"])
def test_whose_response_was_lost_can_be_repeated(browser, user, clock, later):
    for _ in "12":
        lose(browser)
        clock.forward(later)
    assert who(browser) == str(user.pk)
    for _ in "12":
        clock.forward(EXPIRED)
        assert browser.cookies[REFRESH].value
        assert who(browser) == str(user.pk)
    assert ending() == ""


@pytest.mark.parametrize("later", [29, 31, HOURS], ids=["within the grace", "after the grace", "hours later"])
def test_whose_response_was_lost_can_be_repeated_by_a_script(at_once, user, clock, later):
    lose(at_once, refresh)
    clock.forward(later)
    assert refresh(at_once).status_code == 200
    clock.forward(EXPIRED)
    assert who(at_once) == str(user.pk)


def test_is_granted_beside_the_refresh_token_of_a_session_that_has_ended(at_once, user, clock):
    """The browser has it from an earlier sign-in, and the response that would have replaced it is lost."""
    earlier = signed_in_as(user)
    token = earlier.cookies[REFRESH].value
    post(earlier, "/api/auth/logout")
    lose(at_once)
    clock.forward(HOURS)
    at_once.cookies[REFRESH] = token
    assert who(at_once) == str(user.pk)


def test_is_granted_although_another_session_of_the_user_was_ended(at_once, user, clock):
    signed_in_as(user)
    ended = RefreshToken.objects.latest("id").id
    revoke_all(RefreshToken.objects.filter(id=ended), Reason.ENDED_BY_USER, user=user)
    clock.forward(1)
    assert who(at_once) == str(user.pk)


class TestACopy:
    def test_that_comes_before_the_owner_is_reported_when_the_owner_comes(self, at_once, clock):
        copy = copy_of(at_once)
        assert who(copy)
        use(copy, clock)
        assert (who(at_once), ending()) == (None, Reason.REUSE)
        assert SecurityEvent.objects.filter(kind=Kind.REUSE_DETECTED).count() == 1
        clock.forward(2)
        assert who(copy) is None

    def test_that_has_refreshed_twice_is_reported_when_the_owner_comes(self, at_once, clock):
        copy = copy_of(at_once)
        for _ in "12":
            assert who(copy)
            clock.forward(EXPIRED)
        assert (who(at_once), ending()) == (None, Reason.REUSE)

    def test_that_comes_after_the_owner_ends_the_session(self, at_once, clock):
        copy = copy_of(at_once)
        assert who(at_once)
        use(at_once, clock)
        assert (who(copy), ending()) == (None, Reason.REUSE)

    def test_that_comes_before_the_owner_has_used_anything_is_found_later(self, at_once, clock):
        copy = copy_of(at_once)
        assert who(at_once)
        clock.forward(31)
        assert who(copy)
        assert SecurityEvent.objects.filter(kind=Kind.RECOVERED).exists()
        for client in (at_once, copy):
            clock.forward(EXPIRED)
            who(client)
            clock.forward(USED)
            who(client)
        assert ending() == Reason.REUSE

    def test_that_makes_up_a_refresh_token_gets_nothing_and_ends_nothing(self, at_once, user, clock):
        copy = copy_of(at_once)
        assert who(at_once)
        use(at_once, clock)
        copy.cookies[REFRESH] = "latchkey_rt_made_up"
        assert (who(copy), who(at_once), ending()) == (None, str(user.pk), "")


class TestInModeScoped:
    @pytest.fixture(autouse=True)
    def _scoped(self, settings: Any) -> None:
        """Lets browsers send the refresh token to the auth API only. So a page does not show whether they have one."""
        settings.TOKENS = {**settings.TOKENS, "MODES": ["scoped"]}

    def test_a_page_after_a_lost_response_is_anonymous_and_its_script_refreshes(self, at_once, user, clock):
        lose(at_once)
        clock.forward(HOURS)
        assert who(at_once) is None
        assert refresh(at_once).status_code == 200
        for _ in "12":
            assert who(at_once) == str(user.pk)
            clock.forward(EXPIRED)
            assert refresh(at_once).status_code == 200

    def test_parallel_first_pages_are_all_served(self, at_once, user):
        tabs = [copy_of(at_once) for _ in range(3)]
        assert [who(tab) for tab in tabs] == [str(user.pk)] * 3

    def test_a_page_ends_nothing_and_overwrites_nothing(self, at_once, user, clock):
        assert who(at_once)
        for _ in "12":
            use(at_once, clock)
            clock.forward(EXPIRED)
            response = at_once.get("/probe/who")
            assert (response.json()["pk"], set(response.cookies)) == (None, set())
            assert refresh(at_once).status_code == 200
        assert ending() == ""

    def test_a_page_costs_one_statement_for_it(self, at_once, clock, django_assert_num_queries):
        assert who(at_once)
        clock.forward(EXPIRED)
        refresh(at_once)
        clock.forward(EXPIRED)
        with django_assert_num_queries(2):  # The other one reads Django's session.
            assert who(at_once) is None

    def test_a_copy_that_comes_first_is_reported_when_the_owners_script_refreshes(self, at_once, clock):
        copy = copy_of(at_once)
        assert who(copy)
        use(copy, clock)
        assert (who(at_once), ending()) == (None, "")
        assert (refresh(at_once).status_code, ending()) == (401, Reason.REUSE)


class TestWhereABrowserMaySendDjangosCookieAlone:
    """Its absence does not show that the browser has no newer refresh token."""

    @pytest.fixture
    def newer(self, at_once: Client, clock: Any) -> Client:
        """A browser that has only Django's session, of which another tab has refreshed twice."""
        tab = copy_of(at_once)
        for _ in "12":
            assert who(tab)
            clock.forward(EXPIRED)
        assert who(tab)
        return at_once

    @pytest.mark.parametrize("samesite", ["None", False], ids=["sent everywhere", "left out"])
    def test_in_a_frame_on_another_site_nothing_ends(self, newer, settings, samesite):
        settings.SESSION_COOKIE_SAMESITE = samesite
        assert (who(newer), ending()) == (None, "")

    @pytest.mark.parametrize("headers", [{}, NAVIGATION], ids=["a fetch", "a navigation"])
    def test_with_a_request_of_another_site_nothing_ends(self, newer, headers):
        response = newer.get("/probe/who", headers={**headers, "Sec-Fetch-Site": "cross-site"})
        assert (response.json()["pk"], ending()) == (None, "")

    def test_a_page_of_another_site_uses_up_one_recovery(self, at_once, user, clock):
        for _ in range(5):
            lose(at_once, lambda tab: tab.get("/", headers={**NAVIGATION, "Sec-Fetch-Site": "cross-site"}))
            lose(at_once, lambda tab: tab.get("/probe/who", headers={**NAVIGATION, "Sec-Fetch-Site": "cross-site"}))
            clock.forward(31)
        assert (RefreshToken.objects.get().recovered, who(at_once)) == (1, str(user.pk))

    def test_a_form_of_another_site_refreshes_nothing(self, at_once):
        at_once.post("/api/auth/refresh", headers={"Sec-Fetch-Site": "cross-site"})
        assert RefreshToken.objects.get().generation == 0

    def test_another_host_gets_nothing_after_the_grace(self, browser, user, clock, settings):
        settings.SESSION_COOKIE_DOMAIN = ".testserver"
        lose(browser)
        clock.forward(31)
        assert (who(browser), ending()) == (None, "")

    def test_of_a_session_that_was_bound_since_nothing_is_recorded(self, newer, clock):
        RefreshToken.objects.update(bound_at=clock.now)
        clock.forward(31)
        recorded = SecurityEvent.objects.count()
        assert (who(newer), SecurityEvent.objects.count(), ending()) == (None, recorded, "")

    def test_an_upload_that_took_long_ends_nothing(self, at_once, clock, settings):
        settings.TRUSTED_PROXIES, settings.TOKENS = ["127.0.0.1"], {"TRUST_REQUEST_TIME": True}
        tab = copy_of(at_once)
        assert who(tab)
        use(tab, clock)
        upload = {"X-Request-Time": f"{USED + 10}"}
        assert (at_once.get("/probe/who", headers=upload).json()["pk"], ending()) == (None, "")


def test_of_a_sign_in_that_was_revoked_is_over_for_all(at_once, user, clock):
    copy = copy_of(at_once)
    lose(at_once)
    revoke_all(RefreshToken.objects.live(), Reason.ENDED_BY_STAFF, user=user)
    clock.forward(31)
    assert (who(at_once), who(copy), refresh(copy).status_code) == (None, None, 401)
    assert ACCESS not in copy.cookies or not copy.cookies[ACCESS].value


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_is_repeated_once_for_parallel_requests(at_once, user, clock):
    lose(at_once)
    clock.forward(HOURS)
    tabs = [copy_of(at_once) for _ in range(8)]
    assert parallel.at_once(*(partial(who, tab) for tab in tabs)) == [str(user.pk)] * len(tabs)
    row = RefreshToken.objects.get()
    assert (row.generation, row.recovered, row.revoked_reason) == (1, 1, "")
