"""Trusted devices with a policy of the project: it asks `sessions.is_device_trusted`, and the next step offers it."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.factories import UserFactory
from tests.tokens.web import steps
from tests.tokens.web.steps import begin
from tokens import sessions
from tokens.models import Device, RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


def answer(browser: Any, **more: Any) -> Any:
    """Answer in the next step, and trust the device."""
    response = steps.answer(browser, trust_device=True, **more)
    assert response.status_code == 200, response.content
    return response


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
        given = {"FACTORS": ["tokens.web.factors.Password", "tests.tokens.web.steps.Code"], "MODES": ["cookie", "body"]}
        settings.TOKENS = {**settings.TOKENS, **given, "SIGN_IN_POLICY": f"{__name__}.{policy.__name__}", **more}
        cache.clear()

    use()
    return use


def test_a_client_without_cookies_sends_its_device_token(project, another, user):
    asked = begin(another(), user, mode="body").json()
    assert asked["trust_device_for"] == 30 * 86400
    token = answer(another(), pending=asked["pending"]).json()["device_token"]
    assert begin(another(), user, mode="body", device_token=token).json()["session"]["amr"] == ["pwd"]
    for wrong in ("", token[:-1], token.upper()):
        given = {"device_token": wrong} if wrong else {}
        assert begin(another(), user, mode="body", **given).json()["code"] == "factor_required"


def test_the_site_says_for_how_long(project, api, user, clock):
    project(TRUST_DEVICES_FOR=7200)
    assert begin(api, user).json()["trust_device_for"] == 7200
    assert "for some hours" in api.get("/sign-in/factor").content.decode()
    answer(api)
    clock.forward(7100)
    assert begin(api, user).status_code == 200
    clock.forward(200)
    assert begin(api, user).json()["code"] == "factor_required"


def test_a_policy_that_does_not_ask_offers_nothing(project, api, user):
    project(that_never_spares)
    assert "trust_device_for" not in begin(api, user).json()
    assert "trust_device" not in api.get("/sign-in/factor").content.decode()
    answer(api)
    assert not Device.objects.filter(trusted_until__isnull=False).exists()


def test_a_sign_in_outside_of_the_middleware_is_not_spared(project, api, user):
    begin(api, user)
    answer(api)
    request = RequestFactory().get("/")
    request.COOKIES = {name: morsel.value for name, morsel in api.cookies.items()}
    assert not sessions.is_device_trusted(request, user)
    with pytest.raises(sessions.FactorRequired):
        api.force_login(user)


def test_a_pending_sign_in_of_an_earlier_release_is_good_and_offers_nothing(project, api, user, monkeypatch):
    older = SimpleNamespace(loads=json.loads, dumps=lambda fields, **named: json.dumps(fields[:12], **named))
    monkeypatch.setattr(sessions.pending, "json", older)
    begin(api, user)
    monkeypatch.undo()
    answer(api)
    assert (RefreshToken.objects.count(), Device.objects.filter(trusted_until__isnull=False).exists()) == (1, False)


def test_a_spared_sign_in_takes_one_statement_more_than_one_without_a_policy(clock, project, api, user, settings):
    begin(api, user)
    answer(api)
    counts = []
    for policy in (f"{__name__}.that_spares", "") * 2:
        settings.TOKENS = {name: value for name, value in settings.TOKENS.items() if name != "SIGN_IN_POLICY"}
        settings.TOKENS = settings.TOKENS | ({"SIGN_IN_POLICY": policy} if policy else {})
        with CaptureQueriesContext(connection) as asked:
            assert begin(api, user).status_code == 200
        counts.append(len(asked))
    assert counts[2] == counts[3] + 1


def test_the_end_is_of_one_user_and_public(project, api, user):
    other = UserFactory()
    for each in (user, other):
        begin(api, each)
        answer(api)
    with sessions.durable():
        sessions.end_device_trust(user)
    assert (begin(api, user).json()["code"], begin(api, other).status_code) == ("factor_required", 200)
    [device] = Device.objects.filter(trusted_until__isnull=False)
    assert device.trusted_until - sessions.now() < timedelta(days=30)
