"""A session that lacks a required factor, while its access token is valid: no endpoint says that it has ended."""

from json import dumps

import pytest
from django.test import Client

from tests.browsers import login, post, refresh
from tests.factories import PASSWORD
from tests.tokens.api.paths import REAUTHENTICATE
from tests.tokens.api.steps import bearer, refusal
from tests.tokens.service.holders import STILL_TIME
from tests.tokens.web.operations.test_required_factors import HAS_A_CODE, _nobody_has_a_code, browser, required
from tests.tokens.web.steps import CODE, NEW_CODE, answer
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]
__all__ = ["_nobody_has_a_code", "browser", "required"]  # Fixtures.


class TestAPasswordGivenAgain:
    def test_leads_on_to_the_factor_and_the_session_goes_on(self, browser, user, required):
        required()
        before = RefreshToken.objects.get()
        response = post(browser, REAUTHENTICATE, {"password": PASSWORD})
        assert (refusal(response), response.json()["offered"]) == ((401, "factor_required"), ["enrol_totp"])
        assert refusal(refresh(browser)) == (401, "session_idle")
        assert answer(browser, NEW_CODE, "enrol_totp").status_code == 200
        row = RefreshToken.objects.get()
        assert (row.id, row.amr) == (before.id, ["pwd", "otp", "mfa"])
        assert refresh(browser).status_code == 200

    def test_leads_on_in_mode_body(self, user, required, clock):
        tokens = login(Client(), user, mode="body")
        clock.forward(STILL_TIME)
        required()
        given = {"password": PASSWORD, "refresh_token": tokens["refresh_token"]}
        response = post(Client(), REAUTHENTICATE, given, **bearer(tokens["access_token"]))
        assert refusal(response) == (401, "factor_required")
        assert answer(Client(), NEW_CODE, "enrol_totp", pending=response.json()["pending"]).status_code == 200

    def test_is_wrong_as_before(self, browser, required):
        required()
        assert refusal(post(browser, REAUTHENTICATE, {"password": "wrong"})) == (401, "invalid_credentials")

    def test_and_a_factor_that_is_enough_lets_it_go_on(self, browser, user, required):
        HAS_A_CODE.add(user.pk)
        required()
        assert post(browser, REAUTHENTICATE, {"method": "totp", "answer": CODE}).status_code == 200
        assert refresh(browser).status_code == 200

    def test_leads_nowhere_if_the_session_has_ended(self, browser, user, required):
        required()
        revoke_all(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_USER, user=user)
        assert refusal(post(browser, REAUTHENTICATE, {"password": PASSWORD})) == (401, "session_ended")


@pytest.mark.urls("tests.tokens.web.step_up_urls")
@pytest.mark.parametrize("path", ["/well", "/just-now", "/drf"])
def test_step_up_is_refused_as_a_refresh_is(browser, user, required, path):
    HAS_A_CODE.add(user.pk)
    required()
    response = browser.get(path, headers={"Accept": "application/json"})
    assert response.status_code == 401
    assert "lacks a factor" in response["WWW-Authenticate"]
    if path != "/drf":  # REST framework's own handler shows only the detail.
        assert (response.json()["code"], response.json()["offered"]) == ("session_idle", ["totp"])


def test_a_token_for_services_is_refused_as_a_refresh_is(browser, user, required):
    HAS_A_CODE.add(user.pk)
    required(SERVICE_AUDIENCE="https://services.example.org")
    response = post(browser, "/api/auth/service-token")
    assert refusal(response) == (401, "session_idle")
    assert response.json()["offered"] == refresh(browser).json()["offered"] == ["totp"]
    assert "insufficient_user_authentication" in response["WWW-Authenticate"]


def test_a_refresh_token_that_is_wrong_is_refused_as_ever(browser, required):
    """Beside an access token that is right."""
    required()
    assert refusal(post(browser, "/api/auth/refresh", {"refresh_token": "x"})) == (401, "session_ended")


def test_nobody_reads_of_it_whose_session_has_ended(user, required, clock):
    client = signed_in_as(user)
    required(SERVICE_AUDIENCE="https://services.example.org")
    RefreshToken.objects.update(revoked_at=clock.now)
    assert refusal(post(client, "/api/auth/service-token")) == (401, "session_ended")


def test_no_endpoint_says_that_it_has_ended(browser, required, settings):
    factors = [*settings.TOKENS["FACTORS"], "factors.passkeys.PasskeyFactor"]
    required(SERVICE_AUDIENCE="https://services.example.org", FACTORS=factors)
    session_id = RefreshToken.objects.get().id
    given = dict.fromkeys(("password", "current_password", "new_password"), PASSWORD)  # It stays right for all of them.
    given |= {"email": "new@example.org", "device_name": "mine", "code": CODE}
    requests = [
        *["GET me", "GET sessions", f"PATCH sessions/{session_id}", "POST service-token", "POST reauthenticate"],
        *["POST email/change", "POST password/change", "GET factors", "POST factors/totp", "POST factors/totp/confirm"],
        *["POST factors/recovery-codes", "POST factors/passkeys", "DELETE me"],
    ]
    for method, path in map(str.split, requests):
        sent = {"content_type": "application/json", "headers": {"Sec-Fetch-Site": "same-origin"}}
        response = browser.generic(method, f"/api/auth/{path}", dumps(given), **sent)
        assert b"session_ended" not in response.content, (method, path)
        assert response.status_code != 404, path
