"""The way back from an impersonation, taken twice: the first response was lost, or the actor has clicked twice.

The second request comes with the cookies of the impersonation, which has ended. It gets the same answer as the first
one, for as long as a repeated refresh does. A thief gets no more by it than the actor has.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, copy_of, login, post, refresh
from tests.factories import AdminFactory, UserFactory
from tests.parallel import at_once
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tests.tokens.web.impersonation import WAYS, _urls, by_function, release_by_function, release_by_hijack
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.refresh_tokens import RefreshToken as Token
from tokens.service import impersonation, users
from tokens.service.impersonation import ImpersonationRefused
from tokens.service.issuing import IssuedTokens
from tokens.service.revocation import revoke

__all__ = ["_urls"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long, pytest.mark.at_length_on("sqlite")]

Reason = RefreshToken.Reason


@pytest.fixture
def staff(clock: Any, db: None) -> Any:
    """The actor, on a clock that stands still, so that a slow test does not outlast REUSE_GRACE."""
    return AdminFactory()


def impersonating(staff: Any, kind: type[Client] = Client, begin: Any = by_function) -> Client:
    browser = kind(headers={"User-Agent": FIREFOX})
    login(browser, staff)
    assert begin(browser, UserFactory()).status_code in {200, 302}
    return browser


def released(staff: Any, **more: Any) -> tuple[Client, Client]:
    """Return a browser whose impersonation was ended in it, and a copy of its cookies from before.

    ``more``: as of `copy_of`.
    """
    browser = impersonating(staff)
    copy = copy_of(browser, **more)
    release_by_function(browser)
    return browser, copy


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("idle", [0, 700], ids=["at once", "when the access token had expired"])
def test_a_second_click_with_the_same_cookies_gets_the_same_session(staff, way, idle, clock):
    kind, begin, release = way
    browser = impersonating(staff, kind, begin)
    clock.forward(idle)
    if idle:
        del browser.cookies[ACCESS]
    second = copy_of(browser)
    assert (first := release(browser)).status_code in {200, 302}
    clock.forward(5)
    answer = release(second)
    assert (answer.status_code, answer.get("Location")) == (first.status_code, first.get("Location"))
    assert second.cookies[REFRESH].value == browser.cookies[REFRESH].value
    whose = second.get("/probe/whose").json()
    assert (whose["user"], whose["django"], whose["actor"]) == (str(staff.pk), str(staff.pk), None)
    assert [(row.user, row.actor) for row in RefreshToken.objects.live()] == [(staff, None)]
    clock.forward(700)
    assert refresh(second).status_code == 200


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_both_responses_arrive(staff, way):
    kind, begin, release = way
    browser = impersonating(staff, kind, begin)
    second = copy_of(browser)
    release(browser)
    browser.cookies.update(release(second).cookies)
    whose = browser.get("/probe/whose").json()
    assert whose["user"] == whose["django"] == str(staff.pk)
    assert refresh(browser).status_code == 200


@pytest.mark.only_on("postgresql")
def test_both_clicks_are_answered_at_the_same_time():
    browser = impersonating(AdminFactory())
    second = copy_of(browser)
    answers = at_once(partial(release_by_function, browser), partial(release_by_function, second))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert browser.cookies[REFRESH].value == second.cookies[REFRESH].value
    assert RefreshToken.objects.live().count() == 1


def test_a_thief_who_repeats_it_meets_the_actor_and_the_session_ends(staff, clock):
    browser, thief = released(staff)
    assert release_by_function(thief).status_code == 200
    clock.forward(STILL_TIME)
    assert refresh(thief).status_code == 200
    clock.forward(STILL_TIME)
    thief.get("/api/auth/me")
    clock.forward(STILL_TIME)
    thief.get("/api/auth/me")
    assert refresh(browser).status_code == 401
    assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REUSE_DETECTED).count() == 1
    assert not RefreshToken.objects.live().exists()


OURS = [DEVICE, ACCESS, REFRESH]
WITHOUT = {"the device cookie": OURS[:1], "its tokens": OURS[1:], "anything of ours": OURS}


@pytest.mark.parametrize("missing", WITHOUT.values(), ids=WITHOUT)
@pytest.mark.parametrize("release", [release_by_function, release_by_hijack], ids=["function", "hijack"])
def test_a_copy_gets_nothing_without(staff, missing, release):
    browser, thief = released(staff, without=missing)
    assert release(thief).status_code == 403
    assert thief.cookies.get(REFRESH, None) is None or thief.cookies[REFRESH].value != browser.cookies[REFRESH].value
    assert thief.get("/probe/whose").json()["user"] is None


def test_a_bearer_token_and_a_page_of_another_origin_get_nothing(staff):
    browser = impersonating(staff)
    copies = [copy_of(browser), copy_of(browser)]
    headers = [
        {"Authorization": f"Bearer {browser.cookies[ACCESS].value}"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    ]
    release_by_function(browser)
    for copy, sent in zip(copies, headers, strict=True):
        assert copy.post("/probe/release", headers=sent).status_code == 403


def test_an_old_refresh_token_or_an_expired_access_token_gets_nothing(staff, clock):
    browser = impersonating(staff)
    old = copy_of(browser)
    for _ in range(2):
        clock.forward(700)
        assert refresh(browser).status_code == 200
        browser.get("/api/auth/me")
    release_by_function(browser)
    assert release_by_function(old).status_code == 403


LATER: dict[str, Callable[[Client, Any], Any]] = {
    "REUSE_GRACE has passed": lambda browser, clock: clock.forward(GRACE),
    "the actor has refreshed": lambda browser, clock: refresh(browser),
    "the actor has begun another impersonation": lambda browser, clock: by_function(browser, UserFactory()),
}


@pytest.mark.parametrize("happens", LATER.values(), ids=LATER)
def test_it_is_refused_when(staff, clock, happens):
    browser, late = released(staff)
    happens(browser, clock)
    before = RefreshToken.objects.live().count()
    assert release_by_function(late).status_code == 403
    assert RefreshToken.objects.live().count() == before
    assert refresh(browser).status_code == 200


ENDS: dict[str, Callable[[Client, Any], Any]] = {
    "signs out": lambda browser, staff: post(browser, "/api/auth/logout"),
    "is deactivated": lambda browser, staff: type(staff).objects.filter(pk=staff.pk).update(is_active=False),
    "gets a new password": lambda browser, staff: type(staff).objects.filter(pk=staff.pk).update(password="!"),
    "makes way for another person": lambda browser, staff: login(browser, UserFactory()),
}


@pytest.mark.parametrize("release", [release_by_function, release_by_hijack], ids=["function", "hijack"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_signs_nobody_in_after_the_actor(staff, end, release):
    browser, late = released(staff)
    end(browser, staff)
    assert release(late).status_code in {401, 403}
    assert late.get("/probe/whose").json()["user"] is None
    assert (
        not RefreshToken.objects.live().filter(user=staff, actor=None, user__is_active=True).exclude(user__password="!")
    )


def test_an_impersonation_that_was_ended_otherwise_leads_nowhere(staff):
    browser = impersonating(staff)
    revoke(RefreshToken.objects.exclude(actor=None), Reason.ENDED_BY_USER)
    assert release_by_function(browser).status_code == 403


def test_with_strict_one_time_use_there_is_no_second_answer(staff, settings):
    settings.TOKENS = {**settings.TOKENS, "REUSE_GRACE": 0}
    _, second = released(staff)
    assert release_by_function(second).status_code == 403


def began(staff: Any) -> tuple[Holder, IssuedTokens]:
    """Return the actor's own session, and the impersonation that has begun in it."""
    own = Holder(staff)
    return own, impersonation.begin(staff.pk, own.id, UserFactory().pk, own.browser)


class TestInTheService:
    def test_a_process_that_has_not_heard_of_the_end_gives_the_same_answer(self, staff):
        own, begun = began(staff)
        first, second = (impersonation.end(begun.session.id, own.browser) for _ in range(2))
        assert first.refresh_token is not None
        assert (first.session.id, first.refresh_token) == (second.session.id, second.refresh_token)

    def test_an_actor_whose_session_is_bound_goes_back_to_it_twice(self, staff):
        own = Holder(staff)
        own.put_back(bound_key={}, bound_algorithm="ES256", bound_at=own.row.created_at)
        begun = impersonation.begin(staff.pk, own.id, UserFactory().pk, own.browser)
        for _ in range(2):
            issued = impersonation.end(begun.session.id, own.browser)
            assert (issued.session.id, issued.refresh_token, issued.binds) == (own.id, None, True)

    def test_a_new_key_of_the_server_between_the_two(self, staff, settings):
        own, begun = began(staff)
        first = impersonation.end(begun.session.id, own.browser)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = settings.SECRET_KEY[::-1]
        assert secret_of(impersonation.end(begun.session.id, own.browser)) == secret_of(first)

    def test_the_secret_of_the_session_that_follows_takes_the_device_cookie(self, staff):
        """Otherwise somebody with the server's key and the database could make its refresh token."""
        own, begun = began(staff)
        impersonation.end(begun.session.id, own.browser)
        row = RefreshToken.objects.live().get()
        begun.session.refresh_from_db()
        for client, is_it in ((own.browser, True), (own.client, False)):
            (secret,) = impersonation._secrets(begun.session, client)
            assert (Token(row.id, secret, 0).digest == bytes(row.secret_digest)) is is_it

    def test_a_session_that_has_ended_meanwhile_is_not_continued(self, staff):
        own, begun = began(staff)
        issued = impersonation.end(begun.session.id, own.browser)
        revoke(RefreshToken.objects.filter(id=issued.session.id), Reason.ENDED_BY_STAFF)
        with pytest.raises(users.SessionEnded):
            impersonation.end_again(begun.session.id, own.browser)

    def test_a_session_that_is_no_impersonation_is_refused(self, staff):
        own = Holder(staff)
        with pytest.raises(ImpersonationRefused):
            impersonation.end_again(own.id, own.browser)


def secret_of(issued: IssuedTokens) -> bytes:
    return bytes(RefreshToken.objects.get(id=issued.session.id).secret_digest)
