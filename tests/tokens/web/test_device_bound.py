"""Sessions that are bound to the device (DEVICE_BOUND): the answers to a browser that has a key, and to all others."""

from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, OPEN, REFRESH, SESSION, VOUCHER, login, post, refresh
from tests.factories import PASSWORD, AdminFactory
from tests.tokens.devices import CHALLENGE, OFFERED, PROOF, REFRESH_BY_KEY, REGISTER, REGISTRATION, Device, a_key
from tests.tokens.service.statements import failing
from tests.tokens.web_steps import EXPIRED, NAVIGATION, cleared, is_unavailable, set_by, signed_in_as, values_of, who
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import queries
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

SKIPPED = {"Secure-Session-Skipped": 'server_error;session_identifier="x"'}
Reason = RefreshToken.Reason


@pytest.fixture(autouse=True)
def _offered(settings: Any) -> None:
    """Switches the setting on. Without it no session could be bound."""
    settings.TOKENS = OFFERED


@pytest.fixture
def pending(api: Client, user: Any, clock: Any) -> Device:
    """A browser that has registered its key and not proven it yet: both its refresh token and its key are accepted."""
    device = Device(api).sign_in(user)
    assert device.register().status_code == 200
    return device


@pytest.fixture
def bound(api: Client, user: Any, clock: Any) -> Device:
    """A browser that has proven its key. Before that the refresh token is still accepted, so a leak would not show."""
    return Device(api).bind(user)


def row_of(device: Device) -> RefreshToken:
    return RefreshToken.objects.get(id=device.sid)


def revoke(user: Any, clock: Any) -> None:
    """Let a member of the staff revoke all the user's sessions, and all processes read of it."""
    revoke_all(RefreshToken.objects.live().filter(user=user), Reason.ENDED_BY_STAFF)
    clock.forward(2)


def open_members_page(browser: Client) -> Any:
    return browser.get("/probe/members", headers=NAVIGATION)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
@pytest.mark.parametrize("mode", ["cookie", "scoped"])
def test_a_browser_registers_its_key_proves_it_and_refreshes_by_it(browser, user, algorithm, mode, settings):
    settings.TOKENS = {**OFFERED, "MODES": [mode]}
    device = Device(browser, algorithm).bind(user)
    assert row_of(device).bound_algorithm == algorithm
    for _ in range(3):
        device.lose_access()
        assert who(browser) is None
        assert (device.refresh().status_code, who(browser)) == (200, str(user.pk))


def by_the_api(browser: Client, user: Any) -> Any:
    return post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})


SIGN_INS: dict[str, Callable[[Client, Any], Any]] = {
    "the API": by_the_api,
    "our page": lambda browser, user: browser.post("/sign-in", {"username": user.email, "password": PASSWORD}),
    "the admin": lambda browser, user: browser.post("/admin/login/", {"username": user.email, "password": PASSWORD}),
    "another package": lambda browser, user: browser.get(f"/probe/sign-in/{user.email}"),
}


class TestTheOfferAtASignIn:
    @pytest.mark.parametrize("sign_in", SIGN_INS.values(), ids=SIGN_INS)
    def test_every_way_to_sign_in_offers_registration(self, browser, db, sign_in):
        response = sign_in(browser, AdminFactory())
        assert response.cookies[REFRESH].value
        assert response[REGISTRATION].startswith(f'(ES256 RS256);path="{REGISTER}";challenge="')
        assert Device(browser, key=a_key()).offered(response).register().status_code == 200
        assert RefreshToken.objects.get().bound_key

    def test_no_other_request_and_no_failed_sign_in_offers_it(self, clock, signed_in, user):
        clock.forward(EXPIRED)
        responses = [signed_in.get("/probe/who"), refresh(signed_in), signed_in.get("/api/auth/me")]
        responses.append(post(signed_in, "/api/auth/reauthenticate", {"password": PASSWORD}))
        responses.append(post(signed_in, "/api/auth/login", {"email": user.email, "password": "wrong"}))
        assert [response.status_code for response in responses] == [200, 200, 200, 200, 401]
        assert not [response for response in responses if REGISTRATION in response.headers]

    def test_it_is_not_offered_over_plain_http(self, api, user, settings):
        settings.DEBUG, settings.ORIGIN = True, "http://testserver"
        assert REGISTRATION not in by_the_api(api, user).headers

    def test_where_the_setting_is_off_there_is_no_offer_and_no_endpoint(self, api, user, settings):
        settings.TOKENS = {"DEVICE_BOUND": "off"}
        response = by_the_api(api, user)
        assert not [name for name in response.headers if "session" in name.lower()]
        assert response.cookies[ACCESS]["max-age"] == "", "The browser deletes the cookie when it is closed."
        device = Device(api, key=a_key(), sid=response.json()["session"]["id"])
        for answer in (device.send(REGISTER, **{PROOF: "x"}), device.ask(), device.ask("x"), device.ask(sid="x")):
            assert (answer.status_code, answer.json()["code"], len(answer.cookies)) == (404, "not_found", 0)


INVALID_REGISTRATIONS: dict[str, Callable[[Device], str]] = {
    "an empty proof": lambda device: "",
    "no JWS": lambda device: "x",
    "another challenge": lambda device: device.registration(jti="x"),
    "a proof that is too long": lambda device: "x" * 9000,
}


class TestRegistration:
    def test_the_answer_describes_the_cookie_as_it_is_set(self, pending):
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
        names = ("path", "secure", "httponly", "samesite", "domain", "max-age")
        assert [answer.cookies[ACCESS][name] for name in names] == ["/", True, True, "Lax", "", 60]
        assert set(answer.cookies) == {ACCESS, VOUCHER}
        assert "no-store" in answer["Cache-Control"]

    @pytest.mark.parametrize("make", INVALID_REGISTRATIONS.values(), ids=INVALID_REGISTRATIONS)
    def test_an_invalid_proof_is_refused_and_the_sign_in_stays_valid(self, api, user, clock, make):
        device = Device(api).sign_in(user)
        answer = device.register(make(device))
        assert (answer.status_code, len(answer.cookies), CHALLENGE in answer.headers) == (401, 0, False)
        assert row_of(device).bound_key is None
        clock.forward(EXPIRED)
        assert who(api) == str(user.pk)

    def test_a_request_without_the_header_is_refused(self, api, db):
        assert Device(api).send(REGISTER).status_code == 401

    def test_if_the_answer_is_lost_the_session_continues_unbound(self, browser, user, clock):
        device = Device(browser).sign_in(user)
        kept = values_of(browser)
        device.register()
        browser.cookies.load(kept)
        for _ in range(3):
            clock.forward(EXPIRED)
            response = browser.get("/probe/who")
            assert response.json()["pk"] == str(user.pk)
            # If the answer did arrive, the browser refreshes by the key as soon as this cookie has ended.
            assert response.cookies[ACCESS]["max-age"] <= 600
            assert response.cookies[REFRESH].value

    def test_if_the_answer_is_lost_a_client_that_refreshes_itself_keeps_its_expired_token(self, api, user, settings):
        settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
        Device(api).sign_in(user, remember=True).register()
        response = post(api, "/api/auth/refresh")
        assert response.status_code == 200
        assert response.cookies[ACCESS]["max-age"] > EXPIRED

    @pytest.mark.parametrize(
        "origin",
        [{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
        ids=["another site", "another host of the site"],
    )
    def test_registering_and_refreshing_from_another_site_are_refused(self, pending, origin):
        assert pending.send(REGISTER, **{PROOF: pending.registration(), **origin}).status_code == 403
        assert pending.send(REFRESH_BY_KEY, **origin).status_code == 403

    @pytest.mark.django_db(transaction=True)
    def test_while_the_database_is_down_it_is_503_and_can_be_repeated(self, api, user):
        device = Device(api).sign_in(user)
        with failing():
            assert is_unavailable(device.register())
        assert device.register().status_code == 200


INVALID_PROOFS: dict[str, Callable[[Device], str]] = {
    "signed with another key": lambda device: replace(device, key=a_key()).proof(),
    "an empty proof": lambda device: "",
    "a proof that is too long": lambda device: "x" * 20000,
}


class TestRefresh:
    def test_the_new_access_cookie_ends_before_its_token(self, bound):
        answer = bound.refresh()
        assert set(answer.cookies) == {ACCESS, VOUCHER}
        assert 500 < answer.cookies[ACCESS]["max-age"] <= 590
        assert bound.browser.get("/api/auth/me").json()["access_token_expires_at"] > "2030-01-01T12:09:00Z"
        assert OPEN not in bound.browser.cookies

    def test_the_first_proof_deletes_the_refresh_cookie_also_if_its_answer_was_lost(self, pending):
        kept = values_of(pending.browser, REFRESH)
        for _ in range(2):
            answer = pending.refresh()
            assert (set_by(answer), cleared(answer)) == ({ACCESS, VOUCHER}, {REFRESH})
            assert pending.browser.cookies[DEVICE].value
            pending.browser.cookies.load(kept)

    def test_the_refresh_cookie_of_another_session_is_left_alone(self, bound, user):
        bound.browser.cookies[REFRESH] = signed_in_as(user).cookies[REFRESH].value
        assert REFRESH not in bound.refresh().cookies

    def test_it_needs_no_cookie(self, bound, another):
        bound.browser = another()
        assert set_by(bound.refresh()) == {ACCESS, VOUCHER}
        assert who(bound.browser)

    def test_without_a_proof_it_is_answered_with_a_challenge(self, bound):
        answer = bound.ask()
        assert (answer.status_code, answer.json()["code"], len(answer.cookies)) == (403, "proof_required", 0)
        assert answer["Content-Type"] == "application/problem+json"
        assert answer[CHALLENGE] == f'"{bound.challenge}";id="{bound.sid}"'
        assert bound.ask(bound.proof()).status_code == 200

    @pytest.mark.parametrize("make", INVALID_PROOFS.values(), ids=INVALID_PROOFS)
    def test_an_invalid_proof_is_answered_as_an_unknown_session_and_ends_nothing(self, bound, make):
        unknown, answer = bound.ask(sid=str(uuid4())), bound.ask(make(bound))
        assert (answer.status_code, answer.content, answer.headers) == (401, unknown.content, unknown.headers)
        assert (unknown.status_code, len(answer.cookies)) == (401, 0)
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.UNPROVEN, session_id=bound.sid).count() == 1
        assert bound.refresh().status_code == 200

    def test_a_request_without_a_valid_session_id_is_401(self, bound):
        assert bound.send(REFRESH_BY_KEY).status_code == 401
        assert bound.ask(sid="ü".encode().decode("latin-1")).status_code == 401

    @pytest.mark.parametrize("with_proof", [False, True], ids=["asking for a challenge", "with the proof"])
    def test_while_the_database_is_down_it_is_503_and_the_same_proof_stays_valid(self, bound, with_proof):
        proof = bound.proof()
        with failing():
            assert is_unavailable(bound.ask(proof if with_proof else None))
        assert bound.ask(proof).status_code == 200

    def test_it_is_never_throttled(self, bound, throttled, settings):
        throttled(refresh_network="1/h", refresh_session="1/h")
        settings.TOKENS = {**OFFERED, **settings.TOKENS}
        assert {bound.ask(text).status_code for text in (None, "x") for _ in range(5)} == {403, 401}

    def test_the_middleware_does_not_use_the_refresh_token_of_such_a_request(self, pending):
        """The refresh cookie of a pending session is sent along, and must still be valid afterwards."""
        pending.lose_access()
        assert (pending.ask(pending.proof()).status_code, row_of(pending).generation) == (200, 1)

    def test_after_a_second_sign_in_the_first_session_cannot_replace_its_cookie(self, bound, user, clock):
        clock.forward(1)
        second = Device(bound.browser).sign_in(user)
        assert bound.refresh().status_code == 200
        assert second.register().status_code == 200
        answer = bound.refresh()  # If it got a cookie, the browser would be left with that of the first session.
        assert (answer.status_code, len(answer.cookies)) == (401, 0)
        assert (second.refresh().status_code, row_of(bound).revoked_reason) == (200, Reason.SUPERSEDED)
        assert who(bound.browser)


class TestCopiedCookies:
    """An attacker has copied all cookies of the browser, and cannot copy its key."""

    @pytest.fixture
    def attacker(self, another: Callable[[], Client]) -> Client:
        """Another browser. In the same one, a request of the attacker would be one of the user."""
        return another()

    def test_they_become_invalid_with_the_access_token_and_the_browser_continues(self, bound, attacker, clock, user):
        attacker.cookies.load(values_of(bound.browser))
        assert who(attacker) == str(user.pk)
        clock.forward(EXPIRED)
        assert who(attacker) is None
        assert refresh(attacker).status_code == 307, "A browser would renew the cookie before it repeats the request."
        for _ in range(3):
            assert who(attacker) is None
            assert refresh(attacker).status_code == 401
            assert (bound.refresh().status_code, who(bound.browser)) == (200, str(user.pk))
            clock.forward(EXPIRED)

    def test_those_from_before_the_first_proof_become_invalid_with_it(self, pending, attacker, clock, user):
        attacker.cookies.load(values_of(pending.browser))
        clock.forward(EXPIRED)
        assert who(attacker) == str(user.pk), "The attacker was first, and has rotated the refresh token."
        assert pending.refresh().status_code == 200
        clock.forward(EXPIRED)
        answer = attacker.get("/probe/who")
        assert (answer.json()["pk"], cleared(answer)) == (None, {REFRESH})
        assert (pending.refresh().status_code, row_of(pending).revoked_at) == (200, None)

    def test_a_late_refusal_does_not_delete_a_newer_cookie(self, pending, user, clock, monkeypatch):
        stale = values_of(pending.browser, REFRESH)
        pending.refresh()
        pending.lose_access()
        pending.browser.cookies.load(stale)
        clock.forward(1)
        real = queries.is_still_current

        def sign_in_meanwhile(session: RefreshToken) -> bool:
            by_the_api(Client(), user)
            Device(pending.browser).sign_in(user)
            return real(session)

        monkeypatch.setattr(queries, "is_still_current", sign_in_meanwhile)
        assert not pending.browser.get("/probe/who").cookies


class TestAClientThatRefreshesItself:
    """A client like `session.js`, which does not know that its session is bound, and refreshes by a timer."""

    def test_it_is_answered_as_if_it_had_refreshed(self, bound):
        answer = refresh(bound.browser)
        assert (answer.status_code, answer.json()["session"]["id"], len(answer.cookies)) == (200, bound.sid, 0)
        assert answer.json()["access_token_expires_at"]

    def test_a_refresh_token_that_was_left_behind_is_deleted(self, pending):
        token = pending.browser.cookies[REFRESH].value
        pending.refresh()
        answer = refresh(pending.browser, token)
        assert (answer.status_code, cleared(answer)) == (200, {REFRESH})

    def test_it_has_to_sign_in_if_the_session_has_ended(self, bound):
        RefreshToken.objects.filter(id=bound.sid).update(revoked_at=row_of(bound).since)
        assert refresh(bound.browser).status_code == 401

    def test_it_is_503_while_the_browser_says_that_it_cannot_refresh(self, bound):
        bound.lose_access()
        assert post(bound.browser, "/api/auth/refresh", **SKIPPED).status_code == 503
        assert post(bound.browser, "/api/auth/refresh").status_code == 401


MEMBERS_ONLY = "/api/auth/me", "/api/auth/sessions", "/probe/rest", "/probe/members", "/", "/admin/", "/password/change"


class TestARequestWhoseRefreshWasSkipped:
    """The browser could not renew the cookie, and says so in a header. That neither signs a user in nor out."""

    @pytest.fixture
    def without_access(self, bound: Device) -> Client:
        """The browser of a bound session whose access cookie has ended. With one, the header would have no effect."""
        bound.lose_access()
        return bound.browser

    def test_it_is_503_where_the_user_would_have_to_sign_in(self, without_access, subtests):
        for path in MEMBERS_ONLY:
            with subtests.test(path):
                assert without_access.get(path, headers=NAVIGATION).status_code in {401, 302} or path == "/"
                answer = without_access.get(path, headers={**NAVIGATION, **SKIPPED})
                assert answer.status_code == 503
                assert int(answer["Retry-After"]) > 0
                assert "WWW-Authenticate" not in answer.headers
                assert not {ACCESS, REFRESH, DEVICE} & set(answer.cookies)

    def test_it_is_served_without_a_user_where_none_is_needed(self, without_access):
        for path in ("/sign-in", "/register", "/probe/public", "/probe/who", "/api/docs"):
            assert without_access.get(path, headers={**NAVIGATION, **SKIPPED}).status_code == 200, path

    def test_the_user_can_sign_in_and_a_wrong_password_is_still_401(self, without_access, user):
        for password, status in [("wrong", 401), (PASSWORD, 200)]:
            given = {"email": user.email, "password": password}
            assert post(without_access, "/api/auth/login", given, **SKIPPED).status_code == status
        assert who(without_access) == str(user.pk)

    def test_the_header_has_no_effect_beside_a_valid_access_token(self, bound, user):
        assert bound.browser.get("/probe/who", headers=SKIPPED).json()["pk"] == str(user.pk)
        assert bound.browser.get("/api/auth/me", headers=SKIPPED).status_code == 200

    def test_an_unbound_session_is_refreshed_by_its_token(self, signed_in):
        del signed_in.cookies[ACCESS]
        assert signed_in.get("/api/auth/me", headers=SKIPPED).status_code == 200


class TestTheEndOfASession:
    @pytest.mark.parametrize(
        ("path", "status"), [("/api/auth/logout", 204), ("/sign-out", 302)], ids=["by the API", "by the page"]
    )
    def test_signing_out_clears_the_cookies_and_the_next_refresh_is_401(self, bound, path, status):
        answer = post(bound.browser, path)
        assert (answer.status_code, cleared(answer) & {ACCESS, REFRESH}) == (status, {ACCESS, REFRESH})
        assert bound.ask().status_code == 401

    def test_a_revocation_clears_the_access_cookie_so_that_the_browser_refreshes(self, bound, user, clock):
        revoke(user, clock)
        answer = bound.browser.get("/probe/members?a=b", headers=NAVIGATION)
        assert (answer.status_code, answer["Location"]) == (307, "/probe/members?a=b")
        assert cleared(answer) == {ACCESS, SESSION}
        bound.lose_access()
        assert bound.ask(bound.proof()).status_code == 401
        assert open_members_page(bound.browser).status_code == 302

    def test_an_access_token_by_an_unknown_signing_key_is_cleared_and_the_session_continues(self, bound, user):
        bound.browser.cookies[ACCESS] = "signed.by.nobody"
        answer = bound.browser.post("/probe/rest", headers=NAVIGATION)
        assert (answer.status_code, cleared(answer)) == (307, {ACCESS}), "With 307 the browser repeats the data too."
        bound.lose_access()
        assert (bound.refresh().status_code, who(bound.browser)) == (200, str(user.pk))

    def test_a_request_that_a_page_makes_by_script_clears_no_cookie(self, bound, user, clock):
        revoke(user, clock)
        assert not bound.browser.get("/probe/who", headers={"Sec-Fetch-Mode": "cors"}).cookies

    def test_the_old_access_cookie_of_a_revoked_session_costs_the_next_session_one_refresh(self, bound, user, clock):
        stale = values_of(bound.browser, ACCESS)
        revoke(user, clock)
        second = Device(bound.browser).bind(user)
        second.browser.cookies.load(stale)
        assert cleared(open_members_page(second.browser)) == {ACCESS}
        second.lose_access()
        assert (second.refresh().status_code, who(second.browser)) == (200, str(user.pk))

    def test_an_expired_cookie_that_a_wrong_clock_keeps_is_cleared_and_the_session_continues(self, bound, clock):
        clock.forward(EXPIRED)
        kept = values_of(bound.browser, ACCESS)
        for ask in (open_members_page, refresh):
            bound.browser.cookies.load(kept)
            answer = ask(bound.browser)
            assert (answer.status_code, cleared(answer)) == (307, {ACCESS})
        bound.browser.cookies.load(kept)
        assert bound.browser.get("/api/auth/me").json()["code"] == "token_expired"

    @pytest.mark.parametrize("ask", [open_members_page, refresh], ids=["a page", "a client that refreshes itself"])
    def test_an_expired_cookie_beside_an_old_refresh_cookie_is_cleared_too(self, pending, clock, ask):
        kept = values_of(pending.browser, ACCESS, REFRESH)
        assert pending.refresh().status_code == 200
        clock.forward(EXPIRED)
        pending.browser.cookies.load(kept)
        answer = ask(pending.browser)
        assert (answer.status_code, ACCESS in cleared(answer)) == (307, True)
        assert (pending.refresh().status_code, ask(pending.browser).status_code) == (200, 200)

    def test_an_expired_cookie_of_an_unbound_session_is_left_to_its_client(self, api, user, clock, settings):
        settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
        login(api, user)
        del api.cookies["__Http-refresh"]  # A browser sends it only to the auth API, the test client to every path.
        clock.forward(EXPIRED)
        answer = open_members_page(api)
        assert (answer.status_code, len(answer.cookies)) == (302, 0)


class TestASessionThatIsNotRemembered:
    """The key survives the end of the browser, and so do cookies with an age: a cookie without an age tells the end."""

    @pytest.fixture
    def passing(self, api: Client, user: Any, clock: Any) -> Device:
        """A browser whose user is not remembered. The key of one who is stays valid after the browser was closed."""
        return Device(api).bind(user, remember=False)

    def test_it_has_a_cookie_without_an_age_that_is_sent_after_a_link_from_another_site_too(self, passing):
        answer = passing.refresh()
        assert set_by(answer) == {ACCESS, VOUCHER, OPEN}
        names = ("max-age", "expires", "samesite", "secure", "httponly")
        assert [answer.cookies[OPEN][name] for name in names] == ["", "", "None", True, True]

    def test_a_refresh_needs_no_other_cookie(self, passing, another):
        passing.browser = another()
        passing.browser.cookies[OPEN] = "1"
        assert passing.refresh().status_code == 200
        assert who(passing.browser)

    def test_signing_out_clears_the_cookie(self, passing):
        assert OPEN in cleared(post(passing.browser, "/api/auth/logout"))

    def test_after_the_browser_was_closed_the_access_token_and_a_refresh_are_refused(self, passing):
        del passing.browser.cookies[OPEN]
        assert who(passing.browser) is None
        assert open_members_page(passing.browser).status_code == 307
        passing.lose_access()
        answer = passing.ask(passing.proof())
        assert (answer.status_code, len(answer.cookies)) == (401, 0)
        assert row_of(passing).revoked_at is None, "Any client can leave the cookie out."


class TestWhatIsShown:
    def test_the_list_of_sessions_and_the_page_of_devices_say_which_are_bound(self, bound, another, user):
        login(another(), user)
        results = bound.browser.get("/api/auth/sessions").json()["results"]
        assert {session["bound"]: session["id"] == bound.sid for session in results} == {True: True, False: False}
        assert unescape(bound.browser.get("/").content.decode()).count("Bound to its device") == 1

    def test_a_session_with_a_pending_key_is_not_shown_as_bound(self, pending):
        [session] = pending.browser.get("/api/auth/sessions").json()["results"]
        assert session["bound"] is False

    def test_the_admin_shows_it_with_the_algorithm_and_without_the_key(self, bound, db):
        admin = signed_in_as(AdminFactory())
        assert admin.get("/admin/tokens/refreshtoken/").content.decode().count("icon-yes") == 1
        page = admin.get(f"/admin/tokens/refreshtoken/{bound.sid}/change/").content.decode()
        assert "ES256" in page
        assert row_of(bound).bound_key["x"] not in page

    def test_a_confirmed_password_gives_an_access_cookie_that_ends_as_early(self, bound):
        answer = post(bound.browser, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert (answer.status_code, answer.cookies[ACCESS]["max-age"] <= 590) == (200, True)
