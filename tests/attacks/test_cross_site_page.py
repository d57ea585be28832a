"""A page of another site, or a sibling host, makes the user's browser send requests, and never receives our answers.

`tests.tokens.protocol.cross_site_search` shows why none of them may rotate, also not those of a thief who only claims
to come from there. `tests.browser.test_cross_site_page` does the same in a real browser.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import include, path

from tests.browsers import ACCESS, REFRESH, SESSION, AsyncBrowser, login, post
from tests.tokens.web_steps import EXPIRED, NAVIGATION, database_down
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(__name__)]

PAGE, REFRESH_PATH, ME = "/crossed", "/api/auth/refresh", "/api/auth/me"
TRUSTED = "https://app.testserver"
BY_SCRIPT = {"Sec-Fetch-Mode": "cors"}
SITES = {"another site": {"Sec-Fetch-Site": "cross-site"}, "a sibling host": {"Sec-Fetch-Site": "same-site"}}
FETCHES = {
    "a fetch": BY_SCRIPT,
    "a picture": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    "a prefetch": {"Sec-Fetch-Mode": "no-cors", "Sec-Purpose": "prefetch"},
    "a fetch of HTML": {**BY_SCRIPT, "Accept": "text/html"},
}
runs: list[str] = []


def crossed(request: HttpRequest) -> HttpResponse:
    """Show whom our session and Django's own belong to, and count."""
    runs.append(request.get_full_path())
    response = JsonResponse({"user": str(request.user.pk), "django": str(get_user(request).pk)})
    response["Cache-Control"] = "max-age=60"
    return response


def written(request: HttpRequest) -> HttpResponse:
    """Write to Django's session, as a shopping cart does."""
    request.session["cart"] = 1
    return HttpResponse()


urlpatterns = [path("crossed", crossed), path("written", written), path("", include("tests.urls"))]
from_each_site = pytest.mark.parametrize("site", SITES.values(), ids=SITES)


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def idle(request, user, clock) -> Iterator[Client]:
    """The browser of a user whose access token has expired. With one of WSGI only, ASGI could rotate."""
    browser = request.param()
    login(browser, user)
    clock.forward(EXPIRED)
    runs.clear()
    return browser


def is_unchanged(browser: Client, response: Any) -> bool:
    """Return whether a response and its request have changed neither the session nor a cookie."""
    row = RefreshToken.objects.get()
    return (row.generation, row.revoked_at, dict(response.cookies)) == (0, None, {})


class TestANavigation:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_gets_a_page_of_its_own_however_often_it_comes(self, clock, idle, method):
        for site in 20 * list(SITES.values()):
            response = idle.generic(method, PAGE, headers={**NAVIGATION, **site})
            assert (response.status_code, is_unchanged(idle, response)) == (200, True)
            clock.forward(EXPIRED)
        assert runs == []
        assert not SecurityEvent.objects.filter(kind=SecurityEvent.Kind.RECOVERED).exists()

    def test_gets_a_page_that_no_cache_keeps_and_no_frame_shows(self, idle):
        response = idle.get(PAGE, headers={**NAVIGATION, **SITES["another site"]})
        assert response["Cache-Control"] == "private, no-store"
        assert {"Cookie", "Authorization"} <= {name.strip() for name in response["Vary"].split(",")}
        assert response["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        assert response["Referrer-Policy"] == "no-referrer"
        assert f'data-refresh="{REFRESH_PATH}"' in response.content.decode()

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({"SECURE_CSP": {"frame-ancestors": ["'self'", "https://a.test"]}}, "'self' https://a.test"),
            ({"SECURE_CSP": {"frame-ancestors": "https://a.test"}}, "https://a.test"),
            ({"SECURE_CSP": {}, "X_FRAME_OPTIONS": "SAMEORIGIN"}, "'self'"),
            ({"SECURE_CSP": {}, "X_FRAME_OPTIONS": "DENY"}, "'none'"),
        ],
        ids=["a list", "a text", "the same origin", "nobody"],
    )
    def test_gets_a_page_that_those_may_frame_who_may_frame_the_others(self, idle, settings, changed, expected):
        for name, value in changed.items():
            setattr(settings, name, value)
        response = idle.get(PAGE, headers={**NAVIGATION, **SITES["another site"]})
        assert response["Content-Security-Policy"].endswith(f"frame-ancestors {expected}")

    def test_gets_a_page_in_the_language_of_the_browser(self, idle):
        german = {"Accept-Language": "de"}
        text = idle.get(PAGE, headers={**NAVIGATION, **SITES["another site"], **german}).content.decode()
        assert ('<html lang="de">' in text, '<a href="">Seite öffnen</a>' in text) == (True, True)

    def test_gets_a_page_whose_script_may_come_from_another_host(self, idle, settings):
        settings.STATIC_URL = "https://static.test/files/"
        response = idle.get(PAGE, headers={**NAVIGATION, **SITES["another site"]})
        assert "script-src static.test;" in response["Content-Security-Policy"]
        assert 'src="https://static.test/files/tokens/crossing.js"' in response.content.decode()

    @from_each_site
    def test_goes_on_after_one_refresh_and_its_view_runs_once(self, idle, user, site):
        where = f"{PAGE}?code=1&state=2"
        idle.get(where, headers={**NAVIGATION, **site})
        assert post(idle, REFRESH_PATH, **{"Sec-Fetch-Site": "same-origin"}).status_code == 200
        shown = idle.get(where, headers={**NAVIGATION, "Sec-Fetch-Site": "same-origin"})
        assert (shown.json()["user"], runs, RefreshToken.objects.get().generation) == (str(user.pk), [where], 1)

    def test_is_served_at_once_with_a_valid_access_token(self, idle, user):
        post(idle, REFRESH_PATH)
        response = idle.get(PAGE, headers={**NAVIGATION, **SITES["another site"]})
        assert response.json()["user"] == str(user.pk)

    @pytest.mark.parametrize("site", ["none", "same-origin"])
    def test_of_the_users_own_is_refreshed_at_once(self, idle, user, site):
        response = idle.get(PAGE, headers={**NAVIGATION, "Sec-Fetch-Site": site})
        assert (response.json()["user"], set(response.cookies) >= {ACCESS, REFRESH}) == (str(user.pk), True)

    def test_of_a_browser_without_a_refresh_token_is_anonymous(self, user):
        response = Client().get(PAGE, headers={**NAVIGATION, **SITES["another site"]})
        assert response.json()["user"] == "None"

    def test_to_a_page_whose_session_has_ended_goes_on_to_an_anonymous_one(self, idle):
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        assert idle.get(PAGE, headers={**NAVIGATION, **SITES["another site"]}).status_code == 200
        assert post(idle, REFRESH_PATH, **{"Sec-Fetch-Site": "same-origin"}).status_code == 401
        assert idle.get(PAGE, headers={**NAVIGATION, "Sec-Fetch-Site": "same-origin"}).json()["user"] == "None"


class TestAnyOtherRequest:
    @from_each_site
    @pytest.mark.parametrize("kind", FETCHES.values(), ids=FETCHES)
    def test_is_anonymous_and_changes_nothing_however_often_it_comes(self, clock, idle, site, kind):
        for _ in range(3):
            response = idle.get(PAGE, headers={**site, **kind})
            assert (response.json(), is_unchanged(idle, response)) == ({"user": "None", "django": "None"}, True)
            clock.forward(EXPIRED)

    @from_each_site
    def test_is_told_that_the_access_token_has_expired(self, idle, site):
        response = idle.get(ME, headers={**site, **BY_SCRIPT})
        found = response.status_code, response.json()["code"], is_unchanged(idle, response)
        assert found == (401, "token_expired", True)

    def test_gets_an_answer_that_is_not_kept_for_requests_of_our_own_origin(self, idle):
        response = idle.get(PAGE, headers={**SITES["a sibling host"], **BY_SCRIPT})
        assert {"private", "no-store"} <= {part.strip() for part in response["Cache-Control"].split(",")}

    @pytest.mark.parametrize("path", [REFRESH_PATH, PAGE, ME])
    @pytest.mark.parametrize("kind", [NAVIGATION, BY_SCRIPT], ids=["a form", "a fetch"])
    @from_each_site
    def test_that_is_unsafe_is_rejected(self, idle, site, kind, path):
        response = idle.post(path, headers={**site, **kind, "Origin": "https://evil.testserver"})
        assert (response.status_code, is_unchanged(idle, response)) == (403, True)

    def test_without_sec_fetch_site_counts_by_its_origin(self, idle):
        response = idle.get(PAGE, headers={"Origin": "https://evil.testserver"})
        assert (response.json()["user"], is_unchanged(idle, response)) == ("None", True)

    @pytest.mark.parametrize("method_and_path", [("GET", ME), ("POST", REFRESH_PATH)], ids=["me", "refresh"])
    def test_of_a_trusted_origin_is_refreshed(self, idle, settings, method_and_path):
        settings.TOKENS = {"TRUSTED_ORIGINS": [TRUSTED]}
        headers = {**SITES["a sibling host"], **BY_SCRIPT, "Origin": TRUSTED}
        assert idle.generic(*method_and_path, headers=headers).status_code == 200
        assert RefreshToken.objects.get().generation == 1


class TestAThief:
    """Has a copy of the cookies, and can send any header."""

    @pytest.mark.parametrize("kind", [NAVIGATION, BY_SCRIPT], ids=["a navigation", "a fetch"])
    @pytest.mark.parametrize("token", ["the user's", "one that was replaced", "garbage"])
    def test_learns_nothing_by_claiming_to_come_from_another_site(self, idle, kind, token):
        """Otherwise the answer would say whether a copy is still worth something."""
        headers = {**kind, **SITES["another site"]}
        expected = idle.get(PAGE, headers=headers).content
        thief = Client()
        thief.cookies[REFRESH] = "garbage" if token == "garbage" else idle.cookies[REFRESH].value
        if token == "one that was replaced":
            post(idle, REFRESH_PATH)
        with database_down():  # Nothing is looked up, so that the time says nothing either.
            answer = thief.get(PAGE, headers=headers)
        assert (answer.content, dict(answer.cookies)) == (expected, {})

    def test_is_found_as_soon_as_both_have_refreshed(self, idle, clock):
        thief = Client()
        thief.cookies[REFRESH] = idle.cookies[REFRESH].value
        thief.get(PAGE, headers={**NAVIGATION, **SITES["another site"]})
        post(idle, REFRESH_PATH)
        clock.forward(100)
        idle.get(PAGE)
        assert post(thief, REFRESH_PATH).status_code == 401
        assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.REUSE


def test_djangos_own_session_stays_as_it_is(idle, user):
    before = idle.cookies[SESSION].value
    for kind in (NAVIGATION, BY_SCRIPT):
        idle.get(PAGE, headers={**SITES["a sibling host"], **kind})
    assert idle.cookies[SESSION].value == before
    assert idle.get(PAGE).json() == {"user": str(user.pk), "django": str(user.pk)}


def test_djangos_own_session_stays_if_the_view_writes_to_an_empty_one(idle, user):
    idle.get("/written")
    idle.get("/crossed", headers=BY_SCRIPT)
    before = idle.cookies[SESSION].value
    idle.cookies[ACCESS] = "expired"
    idle.get("/written", headers={**SITES["a sibling host"], **BY_SCRIPT})
    assert idle.cookies[SESSION].value == before
    assert idle.get(PAGE).json() == {"user": str(user.pk), "django": str(user.pk)}


@pytest.mark.parametrize("lacks", ["templates", "the script"])
def test_a_project_without_templates_or_collected_files_answers_with_a_link(idle, settings, lacks):
    if lacks == "templates":
        settings.TEMPLATES = []
    else:
        manifest = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
        settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": manifest}}
    response = idle.get(PAGE, headers={**SITES["another site"], **NAVIGATION})
    assert response.status_code == 200
    assert (b'<a href="">' in response.content, b"<script" in response.content) == (True, False)


@pytest.mark.parametrize("kind", [NAVIGATION, BY_SCRIPT], ids=["a navigation", "a fetch"])
def test_in_mode_scoped_only_the_auth_api_gets_the_refresh_token_and_does_not_use_it(settings, clock, user, kind):
    settings.TOKENS = {"MODES": ["scoped"]}
    browser = Client()
    login(browser, user)
    clock.forward(EXPIRED)
    response = browser.get(ME, headers={**SITES["a sibling host"], **kind})
    assert (response.status_code, is_unchanged(browser, response)) == (200 if kind is NAVIGATION else 401, True)
