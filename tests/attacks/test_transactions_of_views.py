"""A view asks for the user in a transaction of its own, and only Django's session knows them."""

from typing import Any

import pytest
from django.contrib.auth import login, logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from accounts.models import User
from tests.browsers import REFRESH
from tests.factories import UserFactory
from tests.tokens.web.compatibility_urls import urlpatterns as promises
from tests.tokens.web.django.test_django_sign_in import copy_of
from tests.tokens.web.django_session_urls import BACKEND
from tests.tokens.web_steps import EXPIRED, set_by, who
from tests.urls import handler400, handler403, handler404, handler500
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke_all

__all__ = ["handler400", "handler403", "handler404", "handler500"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql"), pytest.mark.urls(__name__)]
Reason = RefreshToken.Reason


def ask(request: HttpRequest, how: str) -> HttpResponse:
    """Asks for the user in a transaction, writes to the session, and does what ``how`` says."""
    with transaction.atomic():
        found = {"pk": request.user.pk, "rows": RefreshToken.objects.count(), "data": sorted(request.session.keys())}
        if how == "writes":
            request.session["note"] = "kept"
        elif how == "signs in another":
            login(request, User.objects.exclude(pk=request.user.pk).get(), backend=BACKEND)
        elif how == "signs out":
            logout(request)
        transaction.set_rollback(how == "rolls back")
    return JsonResponse(found)


urlpatterns = [path("probe/ask/<str:how>", ask), *promises]


@pytest.fixture(params=["db", "cached_db", "cache", "signed_cookies"], autouse=True)
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each engine of Django's sessions. With one of them, a loss of data with another would go unnoticed."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


@pytest.fixture(params=["force_login", "before us"])
def browser(request: pytest.FixtureRequest, clock: Any, user: Any, settings: Any) -> Client:
    """A browser that has only Django's session, whose access token has expired, if there was one."""
    client = Client()
    if request.param == "force_login":
        client.force_login(user)
        clock.forward(EXPIRED)
        return copy_of(client)
    ours = settings.MIDDLEWARE
    settings.MIDDLEWARE = [name for name in ours if not name.startswith("tokens.")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokens.web.receivers.django_session.note_outside_sign_in", lambda request, user: None)
        client.force_login(user)
    settings.MIDDLEWARE = ours
    return copy_of(client)


def is_signed_in(client: Client, user: Any, clock: Any) -> bool:
    """Return whether the user goes on with one session, of whose tokens none was used twice."""
    for seconds in (0, 100, EXPIRED, 100):
        clock.forward(seconds)
        if who(client) != str(user.pk):
            return False
    return [row.revoked_reason for row in RefreshToken.objects.filter(user=user)] == [""]


def test_nothing_is_lost_with_it(browser, user, clock):
    answer = browser.get("/probe/ask/rolls back")
    assert (answer.json()["pk"], REFRESH in set_by(answer)) == (str(user.pk), True)
    assert is_signed_in(browser, user, clock)


@pytest.mark.parametrize("engine", ["cached_db"], indirect=True)
class TestTheView:
    @pytest.mark.parametrize("how", ["commits", "writes"])
    def test_may_commit(self, browser, user, clock, how):
        answer = browser.post(f"/probe/ask/{how}")
        assert (answer.json()["pk"], REFRESH in set_by(answer)) == (str(user.pk), True)
        assert ("note" in browser.get("/probe/ask/commits").json()["data"]) == (how == "writes")
        assert is_signed_in(browser, user, clock)

    def test_finds_nobody_and_no_data_after_a_revocation(self, browser, user, clock):
        browser.cookies.pop(REFRESH, None)
        copy = copy_of(browser)
        assert who(copy)
        clock.forward(1)
        revoke_all(RefreshToken.objects.live(), Reason.ENDED_BY_STAFF, user=user)
        clock.forward(1)
        answer = browser.get("/probe/ask/rolls back")
        assert (answer.json()["pk"], answer.json()["data"]) == (None, [])

    def test_of_another_site_gets_nothing(self, browser):
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        answer = browser.get("/probe/ask/commits", headers=headers)
        assert (answer.json()["pk"], answer.json()["data"], set_by(answer)) == (None, [], set())

    def test_signs_out_and_leaves_no_live_session(self, browser, user):
        browser.post("/probe/ask/signs out")
        assert who(browser) is None
        assert not RefreshToken.objects.live().exists()

    def test_signs_in_another_person(self, browser, user):
        other = UserFactory()
        browser.post("/probe/ask/signs in another")
        assert who(browser) == str(other.pk)

    def test_does_not_undo_that_a_second_holder_was_found(self, browser, user, clock):
        copy = copy_of(browser)
        for seconds in (0, EXPIRED, 100):
            clock.forward(seconds)
            assert who(browser)
        assert copy.get("/probe/ask/rolls back").json()["pk"] is None
        assert RefreshToken.objects.get().revoked_reason == Reason.REUSE
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REUSE_DETECTED).count() == 1
