"""The API of factors: who may change them, and what it answers to any body."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factors.models import RecoveryCode, Totp
from tests.browsers import ACCESS, post
from tests.factors.steps import API, BY_TOTP, code, later, set_up
from tokens.models import RefreshToken
from tokens.sessions import factors

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

CHANGES = {
    "an app is begun": lambda browser, **body: post(browser, BY_TOTP, body),
    "an app is confirmed": lambda browser, **body: post(browser, f"{BY_TOTP}/confirm", {"code": "123456", **body}),
    "an app is removed": lambda browser, **body: browser.delete(BY_TOTP, body, content_type="application/json"),
    "codes are made": lambda browser, **body: post(browser, f"{API}/recovery-codes", body),
}

each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def rows():
    return [list(model.objects.order_by("pk").values()) for model in (Totp, RecoveryCode)]


@pytest.fixture
def ready(signed_in, clock):
    """A browser with an app, and another one that is begun. Without them there would be nothing to change."""
    set_up(signed_in, clock.now)
    post(signed_in, BY_TOTP)
    return signed_in


@each_change
class TestAChange:
    def test_needs_a_user(self, client, change):
        assert change(client).json()["code"] == "not_authenticated"

    def test_needs_a_recent_sign_in_or_an_answer(self, ready, change, clock):
        before = rows()
        later(ready, clock)
        answer = change(ready).json()
        assert (answer["code"], answer["offered"]) == ("reauthentication_required", ["totp", "recovery_code"])
        assert change(ready, current_password="wrong").json()["code"] == "invalid_credentials"
        assert change(ready, method="totp", answer="wrong").json()["code"] == "invalid_credentials"
        assert rows() == before
        secret = Totp.objects.exclude(confirmed_at=None).get().decrypt()
        assert change(ready, method="totp", answer=code(secret, clock.now)).status_code in {200, 204, 400, 404}

    def test_needs_more_than_an_access_token(self, ready, change, client):
        before = rows()
        client.cookies[ACCESS] = ready.cookies[ACCESS].value
        assert change(client).json()["code"] == "refresh_token_required"
        assert rows() == before

    def test_is_refused_from_a_page_of_another_origin(self, ready, change):
        before = rows()
        ready.defaults["HTTP_ORIGIN"] = "https://evil.example"
        assert change(ready).json()["code"] == "cross_origin"
        assert rows() == before

    def test_is_refused_if_the_session_has_ended(self, ready, change, clock):
        before = rows()
        RefreshToken.objects.update(revoked_at=clock.now, revoked_reason="ended_by_user")
        assert change(ready).json()["code"] == "session_ended"
        assert rows() == before


def test_answers_with_secrets_are_not_cached(ready):
    answers = [post(ready, BY_TOTP), post(ready, f"{API}/recovery-codes"), ready.get(API)]
    assert ["no-store" in answer["Cache-Control"] for answer in answers] == [True] * 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=JSON)
def test_any_answer_is_refused_with_one_of_two_problems(ready, answer):
    found = post(ready, f"{BY_TOTP}/confirm", {"code": answer})
    assert (found.status_code, found.json()["code"]) in {(400, "invalid"), (400, "wrong_code")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=JSON)
def test_any_answer_to_a_factor_proves_nothing(ready, user, answer):
    assert [factors.verify(None, user, name, answer) for name in ("totp", "recovery_code")] == [None, None]
