"""Sessions bound to the device: what a browser with a key of its own is told, and what everybody else is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests.browsers import ACCESS, DEVICE, FIREFOX, OPEN, REFRESH, AsyncBrowser, login, post, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.devices import (
    CHALLENGE,
    OFFERED,
    PROOF,
    REFRESH_BY_KEY,
    REGISTER,
    REGISTRATION,
    Device,
    a_key,
    jwk_of,
    parameters,
    sign,
)
from tests.tokens.service.holders import GRACE
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import keeping
from tokens.service.ending import end, end_all

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

EXPIRED, HOUR = 601, 3600
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
SKIPPED = {"Secure-Session-Skipped": 'server_error;session_identifier="x"'}
_Kind = SecurityEvent.Kind
_Reason = RefreshToken.Reason


@pytest.fixture(autouse=True)
def _offered(settings: Any) -> None:
    settings.TOKENS = OFFERED


@pytest.fixture(params=["wsgi", "asgi"])
def api(request: pytest.FixtureRequest) -> Client:
    """A browser, in front of either kind of server."""
    kind = Client if request.param == "wsgi" else AsyncBrowser
    return kind(headers={"User-Agent": FIREFOX})


@pytest.fixture
def browser() -> Client:
    """A browser in front of one kind of server, where it makes no difference."""
    return Client(headers={"User-Agent": FIREFOX})


@pytest.fixture
def pending(browser: Client, user: Any, clock: Any) -> Device:
    """A browser that has registered its key, and not proven it yet."""
    device = Device(browser).sign_in(user)
    assert device.register().status_code == 200
    return device


@pytest.fixture
def bound(browser: Client, user: Any, clock: Any) -> Device:
    """A browser whose session is bound."""
    return Device(browser).bind(user)


def row_of(device: Device) -> RefreshToken:
    return RefreshToken.objects.get(id=device.sid)


def who(client: Client) -> str | None:
    pk: str | None = client.get("/probe/who").json()["pk"]
    return pk


def cleared(response: Any) -> set[str]:
    return {name for name, morsel in response.cookies.items() if not morsel.value}


def set_by(response: Any) -> set[str]:
    return {name for name, morsel in response.cookies.items() if morsel.value}


@contextmanager
def database_down() -> Iterator[None]:
    def down(*args: Any) -> Any:
        raise OperationalError("the database is down")

    with connection.execute_wrapper(down):
        yield


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
@pytest.mark.parametrize("mode", ["cookie", "scoped"])
def test_a_browser_registers_proves_its_key_and_refreshes_by_it(api, user, algorithm, mode, settings):
    settings.TOKENS = {**OFFERED, "MODES": [mode]}
    device = Device(api, algorithm).bind(user)
    assert row_of(device).bound_algorithm == algorithm
    for _ in range(3):
        device.lose_access()
        assert who(api) is None
        assert device.refresh().status_code == 200
        assert who(api) == str(user.pk)


class TestASignIn:
    """Whatever opens a session offers to bind it, and nothing else does."""

    def by_the_api(self, browser: Client, user: Any) -> Any:
        return post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})

    def by_a_page(self, browser: Client, user: Any) -> Any:
        return browser.post("/sign-in", {"username": user.email, "password": PASSWORD})

    def by_the_admin(self, browser: Client, user: Any) -> Any:
        return browser.post("/admin/login/", {"username": user.email, "password": PASSWORD})

    def by_any_package(self, browser: Client, user: Any) -> Any:
        return browser.get(f"/probe/sign-in/{user.email}")

    def by_djangos_session(self, browser: Client, user: Any) -> Any:
        browser.force_login(user)
        return browser.get("/probe/who")

    @pytest.mark.parametrize("door", [by_the_api, by_a_page, by_the_admin, by_any_package, by_djangos_session])
    def test_by_any_door_offers_it(self, api, db, door):
        response = door(self, api, AdminFactory())
        assert response.cookies[REFRESH].value
        said = parameters(response[REGISTRATION])
        assert response[REGISTRATION].startswith(f'(ES256 RS256);path="{REGISTER}";challenge="')
        key = a_key()
        proof = sign(
            key,
            {"jti": said["challenge"], "authorization": said["authorization"]},
            jwk=jwk_of(key),
        )
        assert Device(api).send(said["path"], **{PROOF: proof}).status_code == 200
        assert RefreshToken.objects.get().bound_key

    def test_alone_offers_it(self, browser, user, clock):
        login(browser, user)
        clock.forward(EXPIRED)
        for response in (browser.get("/probe/who"), refresh(browser), browser.get("/api/auth/me")):
            assert response.status_code == 200
            assert REGISTRATION not in response.headers
        response = post(browser, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert response.status_code == 200
        assert REGISTRATION not in response.headers

    def test_that_fails_offers_nothing(self, browser, user):
        response = post(browser, "/api/auth/login", {"email": user.email, "password": "wrong"})
        assert response.status_code == 401
        assert REGISTRATION not in response.headers

    @pytest.mark.parametrize(("mode", "offers"), [("cookie", 1), ("scoped", 1), ("subdomain", 0), ("body", 0)])
    def test_offers_it_where_the_access_cookie_is_of_one_host(self, browser, user, settings, mode, offers):
        settings.TOKENS = {**OFFERED, "MODES": ["cookie", "scoped", "subdomain", "body"], "COOKIE_DOMAIN": "testserver"}
        response = post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD, "mode": mode})
        assert response.status_code == 200
        assert (REGISTRATION in response.headers) == offers

    def test_over_plain_http_does_not(self, browser, user, settings):
        settings.DEBUG, settings.ORIGIN = True, "http://testserver"
        assert REGISTRATION not in self.by_the_api(browser, user).headers

    def test_where_it_is_off_says_and_does_nothing_of_it(self, browser, user, settings):
        settings.TOKENS = {}
        response = self.by_the_api(browser, user)
        assert not [name for name in response.headers if "session" in name.lower()]
        assert response.cookies[ACCESS]["max-age"] == ""  # It goes with the browser, as ever.
        device = Device(browser, key=a_key(), sid=response.json()["session"]["id"])
        for answer in (device.send(REGISTER, **{PROOF: "x"}), device.ask(), device.ask("x"), device.ask(sid="x")):
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"
            assert not answer.cookies


class TestARegistration:
    def test_needs_no_cookie_for_after_a_link_from_elsewhere_none_comes_along(self, browser, another, user):
        device = Device(browser).sign_in(user)
        device.browser = another()
        answer = device.register()
        assert answer.status_code == 200
        assert set_by(answer) == {ACCESS}

    def test_tells_the_browser_of_the_cookie_as_it_is_set(self, pending, settings):
        answer = pending.register()
        assert answer.json() == {
            "session_identifier": pending.sid,
            "refresh_url": REFRESH_BY_KEY,
            "scope": {
                "include_site": False,
                "scope_specification": [{"type": "exclude", "domain": "testserver", "path": "/static"}],
            },
            "credentials": [{"type": "cookie", "name": ACCESS, "attributes": "Path=/; Secure; HttpOnly; SameSite=Lax"}],
            "allowed_refresh_initiators": ["*"],
        }
        morsel = answer.cookies[ACCESS]
        assert (morsel["path"], morsel["secure"], morsel["httponly"], morsel["samesite"]) == ("/", True, True, "Lax")
        assert morsel["domain"] == ""
        assert "no-store" in answer["Cache-Control"]

    def test_lets_the_next_request_bring_the_first_proof(self, pending):
        answer = pending.register()
        assert answer.cookies[ACCESS]["max-age"] == 60
        assert REFRESH not in answer.cookies
        assert who(pending.browser)
        assert pending.ask(pending.proof()).status_code == 200  # The challenge was sent ahead.

    def test_may_be_quoted_and_may_come_twice(self, pending):
        assert pending.register(f'"{pending.registration()}"').status_code == 200
        assert pending.register().status_code == 200

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda device: "",
            lambda device: "x",
            lambda device: device.registration() + ";a=b",
            lambda device: device.registration(jti="x"),
            lambda device: device.registration(authorization="x"),
            lambda device: device.registration(authorization=None),
            lambda device: sign(device.key, {"jti": device.offer["challenge"]}),
            lambda device: "x" * 9000,
        ],
    )
    def test_that_proves_nothing_is_refused_and_the_sign_in_stands(self, browser, user, clock, spoil):
        device = Device(browser).sign_in(user)
        answer = device.register(spoil(device))
        assert answer.status_code == 401
        assert not answer.cookies
        assert CHALLENGE not in answer.headers
        assert row_of(device).bound_key is None
        clock.forward(EXPIRED)
        assert who(browser) == str(user.pk)

    def test_without_a_header_at_all_is_refused(self, browser, db):
        assert Device(browser).send(REGISTER).status_code == 401

    def test_of_another_key_for_the_same_session_is_refused(self, pending):
        before, pending.key = row_of(pending).bound_key, a_key()
        assert pending.register().status_code == 401
        assert row_of(pending).bound_key == before

    def test_whose_answer_was_lost_leaves_all_as_it_was(self, api, user, clock):
        device = Device(api).sign_in(user)
        cookies = dict(api.cookies)
        device.register()
        api.cookies.clear()
        api.cookies.update(cookies)
        for _ in range(3):
            clock.forward(EXPIRED)
            response = api.get("/probe/who")
            assert response.json()["pk"] == str(user.pk)
            # Had the answer arrived after all, the browser renews the cookie once it is gone.
            assert response.cookies[ACCESS]["max-age"] <= 600
            assert response.cookies[REFRESH].value

    def test_whose_answer_was_lost_leaves_a_client_that_refreshes_itself_its_expired_token(
        self, browser, user, clock, settings
    ):
        settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
        device = Device(browser).sign_in(user, remember=True)
        device.register()
        response = post(browser, "/api/auth/refresh")
        assert response.status_code == 200
        assert response.cookies[ACCESS]["max-age"] > EXPIRED

    @pytest.mark.parametrize(
        "origin", [{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
    )
    def test_from_another_site_is_refused(self, pending, origin):
        assert pending.send(REGISTER, **{PROOF: pending.registration(), **origin}).status_code == 403
        assert pending.send(REFRESH_BY_KEY, **origin).status_code == 403

    @pytest.mark.django_db(transaction=True)
    def test_while_the_database_is_down_is_503_and_the_sign_in_stands(self, browser, user):
        device = Device(browser).sign_in(user)
        with database_down():
            answer = device.register()
        assert answer.status_code == 503
        assert not answer.cookies
        assert device.register().status_code == 200


class TestARefresh:
    def test_brings_an_access_cookie_that_ends_before_its_token(self, bound):
        answer = bound.refresh()
        assert set(answer.cookies) == {ACCESS}
        assert 500 < answer.cookies[ACCESS]["max-age"] <= 590
        ends = bound.browser.get("/api/auth/me").json()["access_token_expires_at"]
        assert ends > "2030-01-01T12:09:00Z"

    def test_that_is_the_first_takes_the_refresh_cookie_away_and_leaves_the_devices(self, pending):
        answer = pending.refresh()
        assert set_by(answer) == {ACCESS}
        assert cleared(answer) == {REFRESH}
        assert pending.browser.cookies[DEVICE].value

    def test_takes_it_away_too_where_that_answer_was_lost(self, pending):
        token = pending.browser.cookies[REFRESH].value
        pending.refresh()
        pending.browser.cookies[REFRESH] = token
        assert cleared(pending.refresh()) == {REFRESH}

    def test_leaves_the_refresh_cookie_of_another_session_alone(self, bound, another, user):
        other = another()
        login(other, user)
        bound.browser.cookies[REFRESH] = other.cookies[REFRESH].value
        assert REFRESH not in bound.refresh().cookies

    def test_needs_no_cookie(self, bound, another):
        bound.browser = another()
        assert set_by(bound.refresh()) == {ACCESS}
        assert who(bound.browser)

    def test_without_a_proof_is_challenged(self, bound):
        answer = bound.ask()
        assert answer.status_code == 403
        assert answer.json()["code"] == "proof_required"
        assert answer["Content-Type"] == "application/problem+json"
        assert answer[CHALLENGE] == f'"{bound.challenge}";id="{bound.sid}"'
        assert not answer.cookies
        assert bound.ask(bound.proof()).status_code == 200

    def test_may_name_its_session_in_quotes(self, bound):
        assert bound.ask(sid=f'"{bound.sid}"').status_code == 403

    def test_whose_answer_was_lost_is_challenged_anew_as_often_as_it_comes(self, bound):
        proof = bound.proof()
        answers = [bound.ask(proof) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 403, 403, 403]
        assert all(CHALLENGE in answer.headers for answer in answers)
        assert not any(answer.cookies for answer in answers[1:])
        assert bound.ask(bound.proof()).status_code == 200

    def test_of_an_old_challenge_is_challenged_anew(self, bound, clock):
        clock.forward(HOUR)
        assert bound.ask(bound.proof()).status_code == 403
        assert bound.ask(bound.proof()).status_code == 200

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda device: sign(a_key(), {"jti": device.challenge}),
            lambda device: device.proof(typ="JWT"),
            lambda device: device.proof(alg="none"),
            lambda device: device.proof() + ".",
            lambda device: f"{device.proof()}, {device.proof()}",
            lambda device: sign(device.key, {}),
            lambda device: sign(device.key, {"jti": [device.challenge]}),
            lambda device: "",
            lambda device: "x" * 20000,
        ],
    )
    def test_that_proves_nothing_is_401_touches_no_cookie_and_ends_nothing(self, bound, spoil):
        strangers = bound.ask(sid=str(uuid4()))
        answer = bound.ask(spoil(bound))
        assert answer.status_code == strangers.status_code == 401
        assert answer.content == strangers.content
        assert answer.headers == strangers.headers
        assert not answer.cookies
        assert SecurityEvent.objects.filter(kind=_Kind.UNPROVEN, session_id=bound.sid).count() == 1
        assert bound.refresh().status_code == 200

    @pytest.mark.parametrize("sid", ["", "x", "{}", "0" * 32, "ü" * 9])
    def test_of_what_is_no_session_is_401(self, bound, sid):
        assert bound.ask(sid=sid.encode().decode("latin-1")).status_code == 401
        assert bound.send(REFRESH_BY_KEY).status_code == 401

    def test_of_a_session_that_is_not_bound_is_401_and_that_goes_on(self, browser, user):
        device = Device(browser).sign_in(user)
        assert device.ask().status_code == 401
        assert refresh(browser).status_code == 200

    def test_of_a_session_that_was_revoked_is_401(self, bound):
        end(RefreshToken.objects.filter(id=bound.sid), _Reason.ENDED_BY_STAFF)
        assert bound.ask(bound.proof()).status_code == 401

    def test_of_somebody_who_was_switched_off_is_401(self, bound, user):
        user.is_active = False
        user.save()
        assert bound.ask(bound.proof()).status_code == 401

    @pytest.mark.parametrize("with_proof", [False, True])
    def test_while_the_database_is_down_is_503_and_the_same_proof_is_good_afterwards(self, bound, with_proof):
        proof = bound.proof()
        with database_down():
            answer = bound.ask(proof if with_proof else None)
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0
        assert not answer.cookies
        assert bound.ask(proof).status_code == 200

    def test_is_never_throttled(self, bound, throttled, settings):
        throttled(refresh_network="1/h", refresh_session="1/h")
        settings.TOKENS = {**OFFERED, **settings.TOKENS}
        answers = [bound.ask(text) for text in (None, "x") for _ in range(5)]
        assert {answer.status_code for answer in answers} == {403, 401}

    def test_is_not_asked_by_other_methods(self, bound):
        assert bound.browser.get(REFRESH_BY_KEY).status_code == 405
        assert bound.browser.get(REGISTER).status_code == 405

    def test_is_not_used_up_by_the_middleware(self, pending):
        """A pending session's refresh cookie comes along, and is left for who needs it."""
        pending.lose_access()
        answer = pending.ask(pending.proof())
        assert answer.status_code == 200
        assert row_of(pending).generation == 1

    def test_after_a_second_sign_in_is_each_sessions_own(self, bound, user, clock):
        clock.forward(1)
        second = Device(bound.browser).sign_in(user)
        assert bound.refresh().status_code == 200
        assert second.register().status_code == 200
        answer = bound.refresh()  # Lest it comes last, and leaves the browser with the cookie of the first.
        assert answer.status_code == 401
        assert not answer.cookies
        assert second.refresh().status_code == 200
        assert row_of(bound).revoked_reason == _Reason.SUPERSEDED
        assert who(bound.browser)


class TestACopiedJar:
    """Somebody has copied all cookies, and cannot copy the key."""

    @pytest.fixture
    def thief(self, another: Callable[[], Client]) -> Client:
        return another()

    def copy(self, jar: Client, thief: Client) -> None:
        thief.cookies.load({name: morsel.value for name, morsel in jar.cookies.items() if morsel.value})

    def test_is_dead_when_the_access_token_ends_and_its_owner_goes_on(self, bound, thief, clock, user):
        self.copy(bound.browser, thief)
        assert who(thief) == str(user.pk)
        clock.forward(EXPIRED)
        assert who(thief) is None
        assert refresh(thief).status_code == 307  # To the same place, without the cookie: a browser would renew it.
        for _ in range(3):
            assert who(thief) is None
            assert refresh(thief).status_code == 401
            assert bound.refresh().status_code == 200
            assert who(bound.browser) == str(user.pk)
            clock.forward(EXPIRED)

    def test_from_before_the_first_proof_is_dead_then(self, pending, thief, clock, user):
        self.copy(pending.browser, thief)
        clock.forward(EXPIRED)
        assert who(thief) == str(user.pk)  # The thief was first, and has rotated.
        assert pending.refresh().status_code == 200
        clock.forward(EXPIRED)
        answer = thief.get("/probe/who")
        assert answer.json()["pk"] is None
        assert cleared(answer) == {REFRESH}
        assert pending.refresh().status_code == 200
        assert row_of(pending).revoked_at is None

    def test_is_told_what_every_other_is(self, pending, thief, clock):
        self.copy(pending.browser, thief)
        pending.refresh()
        clock.forward(EXPIRED)
        del thief.cookies[ACCESS]  # With it, the browser would be sent to renew it.
        told = refresh(thief, thief.cookies[REFRESH].value)
        every = refresh(thief, "nonsense")
        assert told.status_code == every.status_code == 401
        assert told.content == every.content

    def test_is_noted_once_an_hour_but_what_was_under_way_is_not(self, pending, thief, clock):
        self.copy(pending.browser, thief)
        pending.refresh()
        del thief.cookies[ACCESS]
        token = thief.cookies[REFRESH].value
        for seconds, noted in [(0, 0), (GRACE, 1), (60, 1), (HOUR, 2)]:
            clock.forward(seconds)
            thief.cookies[REFRESH] = token
            assert who(thief) is None
            assert SecurityEvent.objects.filter(kind=_Kind.UNPROVEN).count() == noted
        assert row_of(pending).revoked_at is None

    def test_whose_refusal_comes_late_takes_no_newer_cookie_away(self, pending, user, clock, monkeypatch):
        token = pending.browser.cookies[REFRESH].value
        pending.refresh()
        pending.lose_access()
        pending.browser.cookies[REFRESH] = token
        clock.forward(1)
        real = keeping.is_still_wanted

        def slow(session: RefreshToken) -> bool:
            post(Client(), "/api/auth/login", {"email": user.email, "password": PASSWORD})
            Device(pending.browser).sign_in(user)
            return real(session)

        monkeypatch.setattr(keeping, "is_still_wanted", slow)
        assert not pending.browser.get("/probe/who").cookies


class TestAClientThatRefreshesItself:
    """One that does not know that its session is bound: `session.js`, whose timer is its own."""

    def test_is_told_that_the_browser_has_done_it(self, bound, user):
        answer = refresh(bound.browser)
        assert answer.status_code == 200
        assert answer.json()["session"]["id"] == bound.sid
        assert answer.json()["access_token_expires_at"]
        assert not answer.cookies

    def test_also_with_a_token_that_was_left_behind_which_goes(self, pending):
        token = pending.browser.cookies[REFRESH].value
        pending.refresh()
        answer = refresh(pending.browser, token)
        assert answer.status_code == 200
        assert cleared(answer) == {REFRESH}

    def test_is_told_to_sign_in_when_the_session_has_ended(self, bound):
        RefreshToken.objects.filter(id=bound.sid).update(revoked_at=row_of(bound).since)
        assert refresh(bound.browser).status_code == 401

    def test_is_told_to_wait_while_the_browser_cannot(self, bound):
        bound.lose_access()
        answer = post(bound.browser, "/api/auth/refresh", **SKIPPED)
        assert answer.status_code == 503
        assert post(bound.browser, "/api/auth/refresh").status_code == 401


class TestARequestWhoseRefreshWasSkipped:
    """The browser could not renew the cookie, and says so: nobody is led to sign in, and nobody is let in."""

    @pytest.fixture
    def without_access(self, bound: Device) -> Client:
        bound.lose_access()
        return bound.browser

    @pytest.mark.parametrize(
        "path",
        ["/api/auth/me", "/api/auth/sessions", "/probe/rest", "/probe/members", "/", "/admin/", "/password/change"],
    )
    def test_is_503_where_it_would_have_to_sign_in(self, without_access, path):
        before = without_access.get(path, headers=NAVIGATION)
        assert before.status_code in {401, 302} or path == "/"
        answer = without_access.get(path, headers={**NAVIGATION, **SKIPPED})
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0
        assert "WWW-Authenticate" not in answer.headers
        assert not {ACCESS, REFRESH, DEVICE} & set(answer.cookies)

    @pytest.mark.parametrize("path", ["/sign-in", "/register", "/probe/public", "/probe/who", "/api/docs"])
    def test_is_a_strangers_where_everybody_may(self, without_access, path):
        answer = without_access.get(path, headers={**NAVIGATION, **SKIPPED})
        assert answer.status_code == 200

    def test_may_sign_in_and_be_told_that_the_password_is_wrong(self, without_access, user):
        given = {"email": user.email, "password": "wrong"}
        assert post(without_access, "/api/auth/login", given, **SKIPPED).status_code == 401
        given["password"] = PASSWORD
        assert post(without_access, "/api/auth/login", given, **SKIPPED).status_code == 200
        assert who(without_access) == str(user.pk)

    def test_says_nothing_where_the_access_token_is_good(self, bound, user):
        assert bound.browser.get("/probe/who", headers=SKIPPED).json()["pk"] == str(user.pk)
        assert bound.browser.get("/api/auth/me", headers=SKIPPED).status_code == 200

    def test_of_an_unbound_session_is_refreshed_by_its_token(self, browser, user):
        login(browser, user)
        del browser.cookies[ACCESS]
        assert browser.get("/api/auth/me", headers=SKIPPED).status_code == 200


class TestTheEnd:
    def test_by_signing_out_clears_the_cookies_and_the_next_refresh_is_401(self, bound):
        answer = post(bound.browser, "/api/auth/logout")
        assert answer.status_code == 204
        assert {ACCESS, REFRESH} <= cleared(answer)
        assert bound.ask().status_code == 401

    def test_by_a_page(self, bound):
        assert bound.browser.post("/sign-out").status_code == 302
        assert bound.ask().status_code == 401

    def test_by_a_revocation_clears_the_access_cookie_so_that_the_browser_asks(self, bound, user, clock):
        end_all(RefreshToken.objects.live().filter(user=user), _Reason.ENDED_BY_STAFF)
        clock.forward(2)
        answer = bound.browser.get("/probe/members?a=b", headers=NAVIGATION)
        assert (answer.status_code, answer["Location"]) == (307, "/probe/members?a=b")
        assert cleared(answer) == {ACCESS}
        bound.lose_access()
        assert bound.ask(bound.proof()).status_code == 401
        assert bound.browser.get("/probe/members", headers=NAVIGATION).status_code == 302

    def test_of_the_servers_signing_key_does_too_and_the_session_goes_on(self, bound, user):
        bound.browser.cookies[ACCESS] = "signed.by.nobody"
        answer = bound.browser.post("/probe/rest", headers=NAVIGATION)
        assert answer.status_code == 307  # What was posted goes along.
        assert cleared(answer) == {ACCESS}
        del bound.browser.cookies[ACCESS]
        assert bound.refresh().status_code == 200
        assert who(bound.browser) == str(user.pk)

    def test_is_not_told_by_what_a_page_asks_for_beside_it(self, bound, user, clock):
        end_all(RefreshToken.objects.live().filter(user=user), _Reason.ENDED_BY_STAFF)
        clock.forward(2)
        assert not bound.browser.get("/probe/who", headers={"Sec-Fetch-Mode": "cors"}).cookies

    def test_of_one_session_costs_the_next_no_more_than_a_refresh(self, bound, user, clock):
        stale = bound.browser.cookies[ACCESS].value
        end_all(RefreshToken.objects.live().filter(user=user), _Reason.ENDED_BY_STAFF)
        clock.forward(2)
        second = Device(bound.browser).bind(user)
        second.browser.cookies[ACCESS] = stale
        assert cleared(second.browser.get("/probe/members", headers=NAVIGATION)) == {ACCESS}
        second.lose_access()
        assert second.refresh().status_code == 200
        assert who(second.browser) == str(user.pk)

    def test_of_a_token_whose_cookie_a_clock_that_was_set_back_keeps_is_no_end(self, bound, user, clock):
        clock.forward(EXPIRED)
        kept = bound.browser.cookies[ACCESS].value
        for ask in (lambda: bound.browser.get("/probe/members", headers=NAVIGATION), lambda: refresh(bound.browser)):
            bound.browser.cookies[ACCESS] = kept
            answer = ask()
            assert answer.status_code == 307
            assert cleared(answer) == {ACCESS}
        bound.browser.cookies[ACCESS] = kept
        assert bound.browser.get("/api/auth/me").json()["code"] == "token_expired"

    @pytest.mark.parametrize(
        "ask",
        [lambda browser: browser.get("/probe/members", headers=NAVIGATION), refresh],
        ids=["a page", "a client that refreshes itself"],
    )
    def test_of_a_token_beside_a_refresh_token_that_was_left_behind_is_no_end(self, pending, user, clock, ask):
        kept = {name: pending.browser.cookies[name].value for name in (ACCESS, REFRESH)}
        assert pending.refresh().status_code == 200
        clock.forward(EXPIRED)
        pending.browser.cookies.load(kept)
        answer = ask(pending.browser)
        assert answer.status_code == 307
        assert ACCESS in cleared(answer)
        assert pending.refresh().status_code == 200
        assert ask(pending.browser).status_code == 200

    def test_of_an_unbound_sessions_token_is_for_its_client_to_see(self, browser, user, clock, settings):
        settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
        login(browser, user)
        del browser.cookies["__Secure-refresh"]  # It is for the auth API alone; this browser would send it anywhere.
        clock.forward(EXPIRED)
        answer = browser.get("/probe/members", headers=NAVIGATION)
        assert answer.status_code == 302
        assert not answer.cookies


class TestWhoIsNotRemembered:
    """The key outlives the browser, and its cookies with an age do: the session goes with the browser all the same."""

    @pytest.fixture
    def passing(self, browser: Client, user: Any, clock: Any) -> Device:
        """A browser that was not told to remember anybody."""
        return Device(browser).bind(user, remember=False)

    def test_has_a_cookie_without_an_age_that_another_sites_link_brings_too(self, passing):
        answer = passing.refresh()
        assert set_by(answer) == {ACCESS, OPEN}
        morsel = answer.cookies[OPEN]
        assert (morsel["max-age"], morsel["expires"]) == ("", "")
        assert (morsel["samesite"], morsel["secure"], morsel["httponly"]) == ("None", True, True)

    def test_needs_no_other_for_a_refresh(self, passing, another):
        passing.browser = another()
        passing.browser.cookies[OPEN] = "1"
        assert passing.refresh().status_code == 200
        assert who(passing.browser)

    def test_is_out_when_the_browser_was_closed_before_the_token_ended(self, passing):
        del passing.browser.cookies[OPEN]
        assert who(passing.browser) is None
        assert passing.browser.get("/probe/members", headers=NAVIGATION).status_code == 307

    def test_is_out_when_it_was_closed_and_tries_the_key(self, passing):
        passing.lose_access()
        del passing.browser.cookies[OPEN]
        answer = passing.ask(passing.proof())
        assert answer.status_code == 401
        assert not answer.cookies
        assert row_of(passing).revoked_at is None  # Anybody can say that a browser was closed.

    def test_loses_the_cookie_by_signing_out(self, passing):
        assert OPEN in cleared(post(passing.browser, "/api/auth/logout"))

    def test_is_told_from_who_is(self, bound):
        assert OPEN not in bound.browser.cookies


class TestWhatIsShown:
    def test_sessions_say_which_are_bound(self, bound, another, user):
        login(another(), user)
        results = bound.browser.get("/api/auth/sessions").json()["results"]
        assert {session["id"]: session["bound"] for session in results}[bound.sid] is True
        assert sorted(session["bound"] for session in results) == [False, True]

    def test_a_pending_key_is_not_said_to_bind(self, pending):
        [session] = pending.browser.get("/api/auth/sessions").json()["results"]
        assert session["bound"] is False

    def test_your_devices_say_so_too(self, bound, another, user):
        login(another(), user)
        page = unescape(bound.browser.get("/").content.decode())
        assert page.count("Bound to its device") == 1

    def test_the_admin_says_so_and_since_when(self, bound, browser, db):
        admin = Client()
        login(admin, AdminFactory())
        page = admin.get("/admin/tokens/refreshtoken/").content.decode()
        assert page.count("icon-yes") == 1
        page = admin.get(f"/admin/tokens/refreshtoken/{bound.sid}/change/").content.decode()
        assert "ES256" in page
        assert row_of(bound).bound_key["x"] not in page

    def test_the_owner_is_asked_for_the_password_as_ever(self, bound):
        answer = post(bound.browser, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert answer.status_code == 200
        assert answer.cookies[ACCESS]["max-age"] <= 590


def test_a_session_is_bound_for_its_own_user(bound, another, user):
    other = Device(another()).bind(UserFactory())
    other.challenge = bound.challenge
    assert bound.ask(other.proof()).status_code == 401
    assert other.ask(bound.proof()).status_code == 403
    assert who(bound.browser) == str(user.pk)
