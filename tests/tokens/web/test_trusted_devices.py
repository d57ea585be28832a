"""Devices that a project's own policy spares: it asks `sessions.is_device_trusted`, and the next step offers it."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.browsers import FIREFOX, post
from tests.factories import PASSWORD, UserFactory
from tokens import sessions
from tokens.models import Device, RefreshToken
from tokens.sessions import Factor

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

HERE, ANSWER, RIGHT = __name__, "/api/auth/factor", "123456"


class Code(Factor):
    """A code that is always the same."""

    name, proves = "totp", frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return True

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return ["otp"] if answer == RIGHT else None


def that_spares(request: Any, user: Any, methods: Any) -> Any:
    if "otp" in methods or sessions.is_device_trusted(request, user):
        return sessions.Open()
    return sessions.MoreNeeded(["totp"])


def that_never_spares(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "otp" in methods else sessions.MoreNeeded(["totp"])


@pytest.fixture
def project(settings: Any) -> Any:
    """Sets the policy and other settings of a project that has one more factor."""

    def use(policy: Any = that_spares, **more: Any) -> None:
        given = {"FACTORS": ["tokens.web.factors.Password", f"{HERE}.Code"], "MODES": ["cookie", "body"]}
        settings.TOKENS = {**settings.TOKENS, **given, "SIGN_IN_POLICY": f"{HERE}.{policy.__name__}", **more}
        cache.clear()

    use()
    return use


def sign_in(browser: Client, user: Any, **more: Any) -> Any:
    return post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD, **more})


def answer(browser: Client, **more: Any) -> Any:
    response = post(browser, ANSWER, {"method": "totp", "answer": RIGHT, "trust_device": True, **more})
    assert response.status_code == 200, response.content
    return response


def new() -> Client:
    return Client(headers={"User-Agent": FIREFOX})


def test_a_client_without_cookies_sends_its_device_token(project):
    user = UserFactory()
    asked = sign_in(new(), user, mode="body").json()
    assert asked["trust_device_for"] == 30 * 86400
    token = answer(new(), pending=asked["pending"]).json()["device_token"]
    assert sign_in(new(), user, mode="body", device_token=token).json()["session"]["amr"] == ["pwd"]
    for wrong in ("", token[:-1], token.upper()):
        given = {"device_token": wrong} if wrong else {}
        assert sign_in(new(), user, mode="body", **given).json()["code"] == "factor_required"


def test_the_site_says_for_how_long(project, clock):
    project(TRUST_DEVICES_FOR=7200)
    user, browser = UserFactory(), new()
    assert sign_in(browser, user).json()["trust_device_for"] == 7200
    assert "for some hours" in browser.get("/sign-in/factor").content.decode()
    answer(browser)
    clock.forward(7100)
    assert sign_in(browser, user).status_code == 200
    clock.forward(200)
    assert sign_in(browser, user).json()["code"] == "factor_required"


def test_a_policy_that_does_not_ask_offers_nothing(project):
    project(that_never_spares)
    user, browser = UserFactory(), new()
    assert "trust_device_for" not in sign_in(browser, user).json()
    assert "trust_device" not in browser.get("/sign-in/factor").content.decode()
    answer(browser)
    assert not Device.objects.filter(trusted_until__isnull=False).exists()


def test_a_sign_in_outside_of_the_middleware_is_not_spared(project):
    user, browser = UserFactory(), new()
    sign_in(browser, user)
    answer(browser)
    request = RequestFactory().get("/")
    request.COOKIES = {name: morsel.value for name, morsel in browser.cookies.items()}
    assert not sessions.is_device_trusted(request, user)
    with pytest.raises(sessions.FactorRequired):
        browser.force_login(user)


def test_a_pending_sign_in_of_an_earlier_release_is_good_and_offers_nothing(project, monkeypatch):
    user, browser = UserFactory(), new()
    older = SimpleNamespace(loads=json.loads, dumps=lambda fields, **named: json.dumps(fields[:12], **named))
    monkeypatch.setattr(sessions.pending, "json", older)
    sign_in(browser, user)
    monkeypatch.undo()
    answer(browser)
    assert RefreshToken.objects.count() == 1
    assert not Device.objects.filter(trusted_until__isnull=False).exists()


def test_a_spared_sign_in_takes_one_statement_more_than_one_without_a_policy(project, settings):
    user, browser = UserFactory(), new()
    sign_in(browser, user)
    answer(browser)
    counts = []
    for policy in (f"{HERE}.that_spares", "") * 2:
        settings.TOKENS = {name: value for name, value in settings.TOKENS.items() if name != "SIGN_IN_POLICY"}
        settings.TOKENS = settings.TOKENS | ({"SIGN_IN_POLICY": policy} if policy else {})
        with CaptureQueriesContext(connection) as asked:
            assert sign_in(browser, user).status_code == 200
        counts.append(len(asked))
    assert counts[2] == counts[3] + 1


def test_the_end_is_of_one_user_and_public(project):
    user, other, browser = UserFactory(), UserFactory(), new()
    for each in (user, other):
        sign_in(browser, each)
        answer(browser)
    with sessions.durable():
        sessions.end_device_trust(user)
    assert sign_in(browser, user).json()["code"] == "factor_required"
    assert sign_in(browser, other).status_code == 200
    [device] = Device.objects.filter(trusted_until__isnull=False)
    assert device.trusted_until - sessions.now() < timedelta(days=30)
