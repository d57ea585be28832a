"""Which sessions go on when the browser is closed (REMEMBER): they have cookies with an age, and may be idle longer."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION, VOUCHER, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.devices import OFFERED
from tests.tokens.devices import Device as Browser
from tests.tokens.service.holders import STILL_TIME, Holder
from tests.tokens.web import compatibility_urls
from tests.tokens.web_steps import who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(compatibility_urls.__name__)]

BROWSER, REMEMBERED = timedelta(hours=12), timedelta(days=14)


def by_api(browser: Client, user: Any) -> None:
    login(browser, user, remember=True)


def by_page(browser: Client, user: Any, is_ticked: bool = True) -> None:
    data = {"username": user.email, "password": PASSWORD, **({"remember": "on"} if is_ticked else {})}
    assert browser.post("/sign-in", data).status_code == 302


def by_djangos_login(browser: Client, user: Any) -> None:
    browser.get(f"/probe/in/{user.pk}")


def for_an_hour(browser: Client, user: Any) -> None:
    """Sign in by a view that lets Django's session last an hour."""
    browser.get(f"/probe/in-for/{user.pk}/3600")


ENTRY_POINTS = [by_api, by_page, by_djangos_login, for_an_hour, Client.force_login]


@pytest.fixture
def remembering(settings: Any) -> Any:
    """A function that sets REMEMBER, in a project whose browsers keep Django's session unless a view says otherwise."""
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = False

    def set_to(value: str, **more: Any) -> None:
        settings.TOKENS = {**settings.TOKENS, "REMEMBER": value, **more}

    return set_to


class Kept(Client):
    """A browser that notes which cookies it has been told to keep when it is closed.

    The others that our responses set, of the device and against forged forms, authenticate nobody.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kept: set[str] = set()

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        self.kept |= {name for name, morsel in response.cookies.items() if morsel.value and morsel["max-age"] != ""}
        self.kept -= {DEVICE, "__Host-csrf"}
        return response

    def close(self) -> None:
        """Drop all cookies but those that are kept, as a browser does when it is closed."""
        for name in [*self.cookies]:
            if name not in {*self.kept, DEVICE}:
                del self.cookies[name]


def used(browser: Kept, user: Any, clock: Any, *, through: Any) -> set[str]:
    """Sign in, and go on until the session was refreshed twice. Return the names of the cookies that are kept."""
    through(browser, user)
    for _ in range(3):
        assert who(browser) == str(user.pk)
        browser.get("/probe/store/note")
        clock.forward(601)
        refresh(browser)
    assert who(browser) == str(user.pk)
    return browser.kept


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("entry_point", "value"),
    [*((entry_point, "never") for entry_point in ENTRY_POINTS), (by_api, "bound"), (by_page, "bound")],
)
def test_no_cookie_of_a_sign_in_has_an_age(entry_point, value, remembering, user, clock):
    remembering(value)
    assert used(Kept(), user, clock, through=entry_point) == set()
    row = RefreshToken.objects.get()
    assert row.idle_expires_at == clock.now + BROWSER
    if entry_point is for_an_hour:  # What the project decided about the duration still holds.
        assert row.expires_at <= clock.now + timedelta(hours=1)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_by_default_the_cookies_are_kept(entry_point, remembering, user, clock):
    remembering("always")
    assert used(Kept(), user, clock, through=entry_point) >= {ACCESS, REFRESH, SESSION}
    assert RefreshToken.objects.get().idle_expires_at > clock.now + BROWSER or entry_point is for_an_hour


def unticked_by_page(browser: Client, user: Any) -> None:
    by_page(browser, user, is_ticked=False)


def unticked_after_a_remembered_session(browser: Client, user: Any) -> None:
    by_page(browser, user)
    browser.kept = set()  # type: ignore[attr-defined]
    unticked_by_page(browser, user)


def unticked_after_somebody_elses_session(browser: Client, user: Any) -> None:
    by_page(browser, UserFactory.create())
    browser.kept = set()  # type: ignore[attr-defined]
    unticked_by_page(browser, user)


UNTICKED = [unticked_by_page, unticked_after_a_remembered_session, unticked_after_somebody_elses_session, login]


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("entry_point", UNTICKED)
def test_a_user_who_has_not_ticked_the_box_is_not_remembered_by_any_project(entry_point, remembering, user, clock):
    remembering("always")
    assert used(Kept(), user, clock, through=entry_point) == set()
    assert RefreshToken.objects.filter(user=user).latest("since").idle_expires_at == clock.now + BROWSER


@pytest.mark.parametrize(
    ("value", "idle"),
    [("always", REMEMBERED), ("bound", BROWSER), ("never", BROWSER)],
    ids=["always remembered", "remembered if bound", "never remembered"],
)
def test_the_idle_end_of_each_rotation(value, idle, remembering, user, clock):
    remembering(value)
    holder = Holder(user, remember=True)
    assert holder.row.idle_expires_at == clock.now + idle
    for _ in range(2):
        clock.forward(STILL_TIME)
        holder.refresh()
        assert holder.row.idle_expires_at == clock.now + idle


def test_a_session_from_before_the_setting_follows_it_from_the_next_refresh_on(remembering, user, clock):
    browser = Kept()
    by_api(browser, user)
    remembering("never")
    clock.forward(601)
    browser.kept = set()
    assert (refresh(browser).status_code, browser.kept) == (200, set())
    assert RefreshToken.objects.get().idle_expires_at == clock.now + BROWSER


def test_the_page_does_not_offer_what_is_not_allowed(remembering, api, db):
    for value, is_offered in {"always": True, "bound": True, "never": False}.items():
        remembering(value)
        assert ('name="remember"' in api.get("/sign-in").content.decode()) == is_offered


class TestABoundSession:
    """The key of the device lets the session go on when the browser is closed, and is no bearer secret."""

    @pytest.fixture
    def browser(self, remembering: Any, user: Any, clock: Any) -> Browser:
        """A browser with a key that is not registered yet. Before that its cookies must not be kept."""
        remembering("bound", **OFFERED)
        return Browser(Kept()).sign_in(user)

    def test_ends_with_the_browser_until_it_is_bound(self, browser):
        assert browser.browser.kept == set()
        assert browser.register().status_code == 200
        assert browser.browser.kept == {ACCESS, VOUCHER}, "The browser must drop this one in time, to refresh."
        browser.browser.close()
        assert (who(browser.browser), browser.refresh().status_code) == (None, 401)

    def test_goes_on_after_that(self, browser, user, clock):
        browser.register()
        assert browser.refresh().status_code == 200
        assert RefreshToken.objects.get().idle_expires_at == clock.now + REMEMBERED
        browser.browser.close()
        assert who(browser.browser) == str(user.pk)
        clock.forward(601)
        browser.lose_access()
        assert (browser.refresh().status_code, who(browser.browser)) == (200, str(user.pk))
        assert RefreshToken.objects.get().idle_expires_at == clock.now + REMEMBERED
        assert browser.browser.kept == {ACCESS, VOUCHER}

    @pytest.mark.parametrize("value", ["bound", "never"], ids=["the user has not asked for it", "it is not allowed"])
    def test_does_not_if(self, remembering, user, clock, value):
        remembering(value, **OFFERED)
        browser = Browser(Kept()).bind(user, remember=value == "never")
        assert RefreshToken.objects.get().idle_expires_at == clock.now + BROWSER
        browser.browser.close()
        assert (who(browser.browser), browser.refresh().status_code) == (None, 401)


def test_a_client_that_keeps_its_tokens_itself_is_only_told_so_by_the_idle_end(remembering, api, user, clock):
    remembering("never", MODES=["body"])
    answer = post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD, "remember": True, "mode": "body"})
    assert set(answer.cookies) <= {DEVICE}
    assert RefreshToken.objects.get().idle_expires_at == clock.now + BROWSER
