"""A sign-in that is moved over from Django's session: how old it is, and which copies are not moved over."""

from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from tests import browsers
from tests.attacks.entry_points import INTROSPECTION, by_service
from tests.browsers import ACCESS, SESSION, login, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.parallel import at_once
from tests.tokens.api.steps import deactivate
from tests.tokens.service.holders import change_password
from tests.tokens.service.statements import TABLE, before_the_update
from tests.tokens.web_steps import EXPIRED, NAVIGATION, claims_of, end_all_sessions, signed_in_as, unsigned, who
from tokens.models import RefreshToken
from tokens.web.django.session_data import FIRST_TOKENS, NONCE

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tokens.web.django_session_urls")]

DAY = 86400
OTHERS = "/api/auth/sessions"


def copy_of(client: Client) -> Client:
    """Return a browser that has only a copy of Django's session cookie."""
    return browsers.copy_of(client, SESSION)


@pytest.mark.parametrize("later", [0, 601], ids=["at once", "after the access token has expired"])
def test_a_sign_out_by_the_api_ends_the_session_that_only_djangos_session_names(user, clock, in_a_table, later, api):
    api.force_login(user)
    clock.forward(later)
    assert post(copy_of(api), "/api/auth/logout").status_code == 204
    assert RefreshToken.objects.get().revoked_reason == "signed_out"


def sign_in_and_out(user: Any) -> None:
    """Sign in and out in another browser."""
    assert post(signed_in_as(user), "/api/auth/logout").status_code == 204


def revoke_a_session(user: Any) -> None:
    login(Client(), user)
    end_all_sessions()


@pytest.fixture
def earlier(clock: Any, user: Any, signed_in_by_django: Callable[[Any], Client]) -> Client:
    """A browser that Django has signed in at the beginning of the test, before our middleware was there."""
    return signed_in_by_django(user)


class TestItsAge:
    def test_is_unknown_and_never_recent(self, earlier, user, clock):
        clock.forward(13 * DAY)
        assert who(earlier) == str(user.pk)
        assert not {"auth_time", "amr"} & set(claims_of(earlier))
        assert RefreshToken.objects.get().authenticated_at is None
        assert earlier.delete(OTHERS).json()["code"] == "reauthentication_required"

    def test_stays_unknown_after_a_refresh(self, earlier, user, clock):
        who(earlier)
        for _ in range(3):
            clock.forward(EXPIRED)
            assert who(earlier) == str(user.pk)
            assert "auth_time" not in claims_of(earlier)
        assert earlier.delete(OTHERS).status_code == 403

    def test_is_known_after_a_reauthentication(self, earlier, clock):
        who(earlier)
        clock.forward(60)
        assert post(earlier, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
        assert (claims_of(earlier)["auth_time"], claims_of(earlier)["amr"]) == (int(clock.now.timestamp()), ["pwd"])
        assert earlier.delete(OTHERS).status_code == 204

    def test_is_not_in_the_answer_to_a_service_if_it_is_unknown(self, earlier, settings):
        settings.TOKENS = INTROSPECTION
        who(earlier)
        answer = by_service(Client(), earlier.cookies[ACCESS].value).json()
        assert (answer["active"], "auth_time" in answer) == (True, False)

    @pytest.mark.parametrize(
        ("seconds", "status"), [(0, 204), (899, 204), (901, 403)], ids=["new", "still recent", "old"]
    )
    def test_is_that_of_the_sign_in_if_it_was_made_by_ours(self, engine, user, clock, seconds, status, client):
        client.force_login(user)
        signed_in_at = int(clock.now.timestamp())
        clock.forward(seconds)
        assert who(client) == str(user.pk)
        assert (claims_of(client)["auth_time"], client.delete(OTHERS).status_code) == (signed_in_at, status)

    def test_does_not_depend_on_other_sign_ins_of_the_account(self, earlier, user):
        user.last_login = timezone.now()
        user.save(update_fields=["last_login"])
        who(earlier)
        assert "auth_time" not in claims_of(earlier)


class TestACopy:
    @pytest.fixture(params=[True, False], ids=["moved over", "not moved over"])
    def copy(self, request: pytest.FixtureRequest, earlier: Client, clock: Any, user: Any) -> Client:
        """A copy of Django's session, made before the browser came to us.

        If the browser has come, a row keeps the copy out. If it has not, there is none.
        """
        copy = copy_of(earlier)
        if request.param:
            assert who(earlier) == str(user.pk)
        clock.forward(60)
        return copy

    @pytest.mark.parametrize("seconds", [1, EXPIRED, 12 * DAY], ids=["at once", "without access", "days later"])
    def test_signs_nobody_in_after_the_user_was_revoked(self, copy, user, clock, seconds):
        revoke_a_session(user)
        clock.forward(seconds)
        assert (who(copy), copy.get("/probe/seen").json()) == (None, {"user": None, "django": None, "data": {}})

    def test_signs_nobody_in_after_the_browser_has_signed_out(self, copy, earlier, clock):
        assert earlier.post("/accounts/logout/").status_code == 302
        clock.forward(1)
        assert who(copy) is None

    def test_signs_nobody_in_after_a_sign_out_when_other_sign_ins_followed(self, earlier, user, clock):
        copy = copy_of(earlier)
        who(earlier)
        assert post(earlier, "/api/auth/logout").status_code == 204
        clock.forward(1)
        user.last_login = timezone.now()
        user.save(update_fields=["last_login"])
        assert who(copy) is None

    def test_signs_nobody_in_when_the_row_of_its_session_was_purged(self, earlier, user, clock):
        copy = copy_of(earlier)
        who(earlier)
        end_all_sessions()
        RefreshToken.objects.all().delete()
        clock.forward(1)
        assert who(copy) is None

    @pytest.mark.parametrize(
        "headers",
        [{"Authorization": f"Bearer {unsigned()}"}, {"Sec-Fetch-Site": "cross-site"}],
        ids=["beside a Bearer token of ours", "from another origin"],
    )
    def test_cannot_be_signed_anew_by_django(self, earlier, user, clock, headers, settings, monkeypatch):
        """A view that writes to the session makes a new cookie, with a new time and without a mark."""
        copy = copy_of(earlier)
        who(earlier)
        end_all_sessions()
        for save_always in (False, True):
            settings.SESSION_SAVE_EVERY_REQUEST = save_always
            clock.forward(60)
            copy.post("/probe/store/anything", headers=headers)
            copy.post("/probe/public", headers=headers)
        clock.forward(1)
        settings.SESSION_SAVE_EVERY_REQUEST = False
        assert who(copy) is None


@pytest.mark.parametrize("change", [change_password, deactivate])
def test_a_user_who_was_changed_since_is_not_signed_in(earlier, user, change):
    change(user)
    assert (who(earlier), RefreshToken.objects.exists()) == (None, False)


@pytest.mark.parametrize(("seconds", "is_signed_in"), [(DAY - 1, True), (DAY, False)], ids=["younger", "older"])
def test_a_sign_in_older_than_the_events_that_are_kept_signs_nobody_in(earlier, clock, settings, seconds, is_signed_in):
    """A revocation since then may have been forgotten."""
    settings.TOKENS = {"EVENT_RETENTION": DAY}
    clock.forward(seconds)
    assert (who(earlier) is not None) is is_signed_in


def by_staff(user: Any) -> None:
    staff = signed_in_as(AdminFactory())
    assert staff.post(f"/admin/tokens/refreshtoken/user/{user.pk}/revoke/").status_code == 302


def by_command(user: Any) -> None:
    call_command("revoke_sessions", user=user.email, no_input=True, stdout=StringIO())


def by_the_user(user: Any) -> None:
    other = signed_in_as(user)
    assert (other.delete(OTHERS).status_code, who(other)) == (204, str(user.pk))


@pytest.mark.parametrize("revoke", [by_staff, by_command, by_the_user])
def test_a_revocation_that_finds_no_session_keeps_the_browser_out(earlier, user, clock, revoke):
    """The user has not come to us yet, so there is no row to revoke."""
    clock.forward(60)
    revoke(user)
    assert who(earlier) is None


class TestASignOutInAnotherBrowser:
    """A session in a cookie has no identity. From a table a sign-out deletes its own session."""

    def test_ends_a_session_in_a_cookie_and_none_in_a_table(self, earlier, user, clock, engine):
        clock.forward(60)
        sign_in_and_out(user)
        clock.forward(1)
        assert who(earlier) == (None if engine == "signed_cookies" else str(user.pk))

    @pytest.mark.parametrize("end", [sign_in_and_out, revoke_a_session], ids=["a sign-out", "a revocation"])
    def test_or_a_revocation_does_not_end_a_session_that_begins_later(self, user, clock, signed_in_by_django, end):
        end(user)
        clock.forward(1)
        browser = signed_in_by_django(user)
        clock.forward(1)
        assert who(browser) == str(user.pk)

    def test_of_another_user_ends_none(self, earlier, user, clock):
        clock.forward(60)
        sign_in_and_out(UserFactory())
        assert who(earlier) == str(user.pk)

    def test_is_not_a_session_that_made_way_for_a_newer_one(self, earlier, user, clock, client):
        clock.forward(60)
        for _ in range(2):
            clock.forward(1)
            login(client, user)
        post(client, "/api/auth/refresh")
        assert RefreshToken.objects.get(revoked_at__isnull=False).revoked_reason == "superseded"
        assert who(earlier) == str(user.pk)


class TestARequestOfAnotherSite:
    """`tests.attacks.test_cross_site_page` tests those with tokens."""

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_opens_no_session_if_it_is_a_fetch_or_a_form(self, user, signed_in_by_django, site):
        """The tokens could be lost, and the sign-in would count as used."""
        browser = signed_in_by_django(user)
        response = browser.get("/probe/who", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"})
        browser.post("/probe/public", headers={"Sec-Fetch-Site": site})
        assert (response.json()["pk"], RefreshToken.objects.count(), who(browser)) == (None, 0, str(user.pk))

    def test_opens_one_if_it_is_a_navigation(self, user, signed_in_by_django):
        """The sign-in may have led through another site."""
        headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
        assert signed_in_by_django(user).get("/probe/who", headers=headers).json()["pk"] == str(user.pk)


class TestAChangeOfKeys:
    def test_does_not_move_over_twice(self, earlier, user, clock, change_secret_key):
        copy = copy_of(earlier)
        assert who(earlier) == str(user.pk)
        change_secret_key()
        assert (who(copy), RefreshToken.objects.count()) == (str(user.pk), 1)

    def test_does_not_let_a_copy_in_after_the_sign_out(self, earlier, user, clock, change_secret_key):
        copy = copy_of(earlier)
        who(earlier)
        earlier.post("/accounts/logout/")
        change_secret_key()
        clock.forward(60)
        assert (who(copy), RefreshToken.objects.count()) == (None, 1)

    def test_lets_parallel_first_requests_come_to_one_session(self, earlier, user, change_secret_key):
        """Django would give the session a new key at the first of them."""
        tabs = [copy_of(earlier) for _ in range(3)]
        change_secret_key()
        assert ([who(tab) for tab in tabs], RefreshToken.objects.count()) == ([str(user.pk)] * 3, 1)


def test_the_nonce_is_removed_when_it_has_been_used(user, clock, stored, engine, client):
    client.force_login(user)
    assert (NONCE if engine == "signed_cookies" else FIRST_TOKENS) in stored(client)
    who(client)
    clock.forward(EXPIRED)
    assert who(client) == str(user.pk)
    assert SESSION_KEY in stored(client)
    assert not {NONCE, FIRST_TOKENS} & stored(client).keys()


def test_a_revocation_while_the_session_is_being_opened_ends_it(earlier, user, clock):
    """It is committed between the look at the events and the new row."""
    clock.forward(60)
    login(Client(), user)
    with before_the_update(end_all_sessions, where=f'INSERT INTO "{TABLE}"'):
        assert who(earlier) is None
    assert not RefreshToken.objects.live().exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by_force_login", [False, True], ids=["before us", "force_login"])
def test_first_requests_at_the_same_time_come_to_one_session(user, signed_in_by_django, by_force_login):
    if by_force_login:
        client = Client()
        client.force_login(user)
    else:
        client = signed_in_by_django(user)
    tabs = [copy_of(client) for _ in range(8)]
    found = at_once(*(partial(who, tab) for tab in tabs))
    assert (found, RefreshToken.objects.count()) == ([str(user.pk)] * len(tabs), 1)
