"""The project's own claims: the function that CLAIMS_HOOK names can fail, or return what an access token cannot hold.

While it fails, nothing is written. The client keeps its refresh token, and can repeat the request.
"""

import logging
from collections import OrderedDict
from dataclasses import FrozenInstanceError, asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from typing import Any
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy

from tests.browsers import ACCESS, FIREFOX, AsyncBrowser, login, post, refresh
from tests.factories import PASSWORD, AdminFactory
from tests.tokens.devices import OFFERED, KeyHolder
from tests.tokens.service.holders import STILL_TIME, Holder, columns, rotated_once
from tokens.conf import codec
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.protocol.rotation import Decision
from tokens.service import impersonation, reauthentication, refreshing
from tokens.service.claims import ClaimsHookFailed, _described, claims_of
from tokens.service.issuing import IssuedTokens

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

SECRET = "the value of a secret"
answer: Any = {}
"""What the hook does: a value that it returns, or an exception that it raises."""


def hook(user: Any, session: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


NAME = f"{__name__}.hook"


@pytest.fixture(autouse=True)
def _lines(settings, caplog):
    """Set the hook, and keep the log. Without the hook every test of a failure would fail, and no other."""
    caplog.set_level(logging.INFO, "tokens")
    settings.TOKENS = {**settings.TOKENS, "CLAIMS_HOOK": NAME}
    hook_returns({})


def hook_returns(value: Any) -> None:
    global answer
    answer = value


def hook_fails() -> None:
    hook_returns(RuntimeError(SECRET))


def lines(caplog: Any) -> list[str]:
    return [line for line in caplog.messages if "claims hook" in line]


class TestWhileItFails:
    def test_a_session_survives_a_hundred_refreshes_in_two_hours(self, signed_in, clock, caplog):
        hook_returns({"plan": "gold"})
        clock.forward(700)
        assert refresh(signed_in).status_code == 200
        clock.forward(700)
        hook_fails()
        before = columns()
        for _ in range(100):
            response = refresh(signed_in)
            assert (response.status_code, response.json()["code"], response.cookies) == (503, "unavailable", {})
            assert response["Retry-After"]
            clock.forward(72)
        assert columns() == before
        assert len(lines(caplog)) == 100
        hook_returns({"plan": "silver"})
        assert refresh(signed_in).status_code == 200
        assert codec().loads(signed_in.cookies[ACCESS].value, clock.now).claims["plan"] == "silver"
        assert columns()["generation"] == before["generation"] + 1

    @pytest.mark.parametrize("times", [1, 3], ids=["the first rotation", "a later one"])
    def test_a_request_with_an_expired_access_token_is_answered_503_and_nothing_moves(self, signed_in, clock, times):
        for _ in range(times):
            before = columns()
            clock.forward(700)
            hook_fails()
            response = signed_in.get("/")
            assert (response.status_code, response.cookies) == (503, {})
            assert columns() == before
            hook_returns({})
            assert signed_in.get("/").status_code == 200

    @pytest.mark.parametrize(
        "of", [Decision.REPEAT, Decision.RECOVER, Decision.CATCH_UP], ids=lambda of: of.name.lower()
    )
    def test_no_other_answer_moves_anything_either(self, user, clock, of):
        holder = rotated_once(user, clock)
        before_that = holder.token
        holder.refresh()
        if of is Decision.RECOVER:
            clock.forward(STILL_TIME)
        if of is Decision.CATCH_UP:
            holder.put_back(generation=0)
        token, before = holder.token if of is Decision.CATCH_UP else before_that, columns()
        hook_fails()
        with pytest.raises(ClaimsHookFailed):
            holder.present(token)
        assert columns() == before
        hook_returns({})
        assert holder.granted(token).decision is of

    def test_a_token_that_was_used_twice_ends_the_session_all_the_same(self, user, clock):
        holder = rotated_once(user, clock)
        holder.refresh()
        clock.forward(STILL_TIME)
        hook_fails()
        assert holder.is_refused(holder.first)
        assert holder.ending == ("reuse_detected", 1)

    def test_a_sign_in_is_answered_503_and_leaves_nothing(self, api, user):
        hook_fails()
        response = post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        assert (response.status_code, response.json()["code"], response.cookies) == (503, "unavailable", {})
        assert not RefreshToken.objects.exists()
        assert not Device.objects.exists()
        assert not SecurityEvent.objects.exists()
        hook_returns({})
        login(api, user)

    def test_a_sign_in_on_the_page_is_answered_503_and_signs_in_nobody_later(self, api, user):
        hook_fails()
        response = api.post("/sign-in", {"username": user.email, "password": PASSWORD})
        assert (response.status_code, response.cookies) == (503, {})
        hook_returns({})
        assert api.get("/api/auth/me").status_code == 401
        assert not RefreshToken.objects.exists()

    def test_a_sign_in_by_django_is_taken_over_when_it_works_again(self, api, user):
        api.force_login(user)
        hook_fails()
        assert api.get("/").status_code == 503
        assert not RefreshToken.objects.exists()
        hook_returns({})
        assert api.get("/").status_code == 200

    def test_a_reauthentication_is_answered_503_and_leaves_the_time_of_the_sign_in(self, signed_in, clock):
        clock.forward(60)
        before = columns()
        hook_fails()
        response = post(signed_in, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert (response.status_code, response.json()["code"], response.cookies) == (503, "unavailable", {})
        assert columns() == before
        assert not SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REAUTHENTICATED).exists()
        hook_returns({})
        assert post(signed_in, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200

    def test_the_same_holds_under_asgi(self, user, clock):
        browser = AsyncBrowser(headers={"User-Agent": FIREFOX})
        login(browser, user)
        clock.forward(700)
        hook_fails()
        assert browser.get("/").status_code == refresh(browser).status_code == 503
        hook_returns({})
        assert browser.get("/").status_code == 200

    def test_a_key_is_neither_registered_nor_proven(self, user, clock, settings):
        settings.TOKENS = {**settings.TOKENS, **OFFERED}
        holder = KeyHolder(user)
        for act in (holder.register, holder.prove):
            before = columns()
            hook_fails()
            with pytest.raises(ClaimsHookFailed):
                act()
            assert columns() == before
            hook_returns({})
            assert isinstance(act(), IssuedTokens)


def test_the_log_names_the_hook_and_the_line_and_no_value(user, caplog):
    holder = Holder(user)
    hook_fails()
    with pytest.raises(ClaimsHookFailed) as raised:
        claims_of(user, holder.issued.session)
    (line,) = lines(caplog)
    number = hook.__code__.co_firstlineno + 2
    assert line == f'event="claims hook failed" hook={NAME} error=RuntimeError at=test_claims.py:{number}'
    assert SECRET not in caplog.text + repr(raised.value)


class TestTheSession:
    """The second argument."""

    @pytest.fixture(autouse=True)
    def _described(self, settings: Any) -> None:
        """Use a hook that tells what it was given. The other one knows nothing of it."""
        settings.TOKENS = {**settings.TOKENS, "CLAIMS_HOOK": f"{__name__}.described"}

    def test_is_what_the_token_says(self, signed_in, user, clock):
        [device] = Device.objects.all()
        for step in (lambda: clock.forward(700), lambda: refresh(signed_in), lambda: clock.forward(700)):
            claims = codec().loads_expired(signed_in.cookies[ACCESS].value).claims
            assert claims["session"] == {
                "id": claims["sid"],
                "methods": ["pwd"],
                "acr": "aal1",
                "authenticated_at": claims["auth_time"],
                "actor": None,
                "device": str(device.pk),
                "device_name": "Firefox on Windows",
            }
            step()

    def test_has_the_new_methods_after_a_reauthentication(self, user, clock):
        holder = Holder(user, proved={"otp": timedelta(seconds=5)})
        assert holder.issued.access.claims["session"]["methods"] == ["otp"]
        again = reauthentication.reauthenticate(user, holder.id, {"pwd": timedelta()})
        assert again is not None
        assert again.access.claims["session"]["methods"] == ["otp", "pwd", "mfa"]
        assert again.access.claims["session"]["acr"] == "aal2"

    def test_names_the_actor_and_no_methods_in_an_impersonation(self, user, clock):
        own = Holder(AdminFactory(), proved={"pwd": timedelta()})
        begun = impersonation.begin(own.user.pk, own.id, user.pk, own.browser).access.claims["session"]
        assert (begun["actor"], begun["methods"], begun["acr"]) == (str(own.user.pk), [], None)
        assert begun["authenticated_at"] is None

    def test_cannot_be_changed(self, user):
        with pytest.raises(FrozenInstanceError):
            _described(Holder(user).row).methods = ("mfa",)  # type: ignore[misc]


def described(user: Any, session: Any) -> Any:
    """Tell what the hook was given, as JSON has it."""
    at = session.authenticated_at
    return {"session": {**asdict(session), "authenticated_at": at and int(at.timestamp())}}


def test_a_hook_that_cannot_be_imported_fails_as_one_that_raises(settings, user, caplog):
    holder = Holder(user)
    settings.TOKENS = {**settings.TOKENS, "CLAIMS_HOOK": "nowhere.at_all"}
    with pytest.raises(ClaimsHookFailed):
        holder.present()
    assert "hook=nowhere.at_all error=ModuleNotFoundError" in lines(caplog)[0]


AS_DJANGO_WRITES_THEM = {
    "a date": (date(2030, 1, 2), "2030-01-02"),
    "a time": (datetime(2030, 1, 2, 3, 4, 5, 678901, UTC), "2030-01-02T03:04:05.678Z"),
    "a duration": (timedelta(hours=1), "P0DT01H00M00S"),
    "a decimal number": (Decimal("1.50"), "1.50"),
    "a UUID": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "a text that is translated later": (gettext_lazy("Sign in first."), "Sign in first."),
    "a tuple": ((1, 2), [1, 2]),
    "nested values": ({"since": [date(2030, 1, 2)], 1: None}, {"since": ["2030-01-02"], "1": None}),
    "what JSON has": ([1, 2.5, "ü", True, None, {}], [1, 2.5, "ü", True, None, {}]),
}


@pytest.mark.parametrize(("given", "written"), AS_DJANGO_WRITES_THEM.values(), ids=AS_DJANGO_WRITES_THEM)
def test_a_claim_is_written_as_django_writes_json(user, clock, given, written):
    hook_returns(OrderedDict(claim=given))
    issued = Holder(user).issued
    assert issued.access.claims["claim"] == written
    assert codec()._verified(issued.access_token).claims["claim"] == written


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
UNFIT = {
    "a set": ({"roles": {SECRET}}, 'claim=roles error="the value is not JSON: Object of type set is not'),
    "a set in a list": ({"roles": [{SECRET}]}, "claim=roles error="),
    "an object": ({"user": object()}, "claim=user error="),
    "bytes": ({"key": SECRET.encode()}, "claim=key error="),
    "not a number": ({"rate": nan}, "claim=rate error="),
    "an infinite number": ({"rates": {SECRET: [inf]}}, "claim=rates error="),
    "a circle": ({"self": CIRCLE}, "claim=self error="),
    "a value that is too deep": ({"deep": DEEP}, 'claim=deep error="the value is too deep"'),
    "a reserved name": ({"plan": 1, "exp": SECRET}, 'claim=exp error="the name is reserved"'),
    "the name of our own claim": ({"gen": 1}, 'claim=gen error="the name is reserved"'),
    "a name that is a number": ({7: 1}, 'claim=7 error="the name is not text"'),
    "a list": ([SECRET], 'error="it returned a list"'),
    "a text": (SECRET, 'error="it returned a str"'),
    "more than a token may hold": ({"groups": [SECRET] * 500}, 'error="the claims have more than 5000 bytes"'),
}


@pytest.mark.parametrize(("given", "told"), UNFIT.values(), ids=UNFIT)
def test_what_a_token_cannot_hold_is_refused_by_name(user, clock, caplog, given, told):
    holder = rotated_once(user, clock)
    before = columns()
    hook_returns(given)
    with pytest.raises(ClaimsHookFailed):
        holder.present()
    (line,) = lines(caplog)
    assert f"hook={NAME} {told}" in line
    assert SECRET not in line
    assert columns() == before


@pytest.mark.parametrize("given", [None, {}], ids=["none", "an empty dictionary"])
def test_no_claims_are_no_mistake(user, given):
    hook_returns(given)
    holder = Holder(user)
    assert claims_of(user, holder.row) == {}
    assert holder.refresh()


def test_without_a_hook_nothing_is_asked(user, clock, settings, monkeypatch):
    holder = rotated_once(user, clock)
    del settings.TOKENS["CLAIMS_HOOK"]
    settings.TOKENS = settings.TOKENS
    monkeypatch.setattr(refreshing, "claims_of", None)
    hook_fails()
    assert holder.refresh().decision in {Decision.ROTATE}
