"""``factors.policy.enrolled``: a user with an authenticator app is asked for a code of it after the password."""

import pytest

from factors.models import RecoveryCode, Totp
from tests.browsers import ACCESS, REFRESH, login, new_browser, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.factors.steps import code, set_up
from tokens import sessions
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

FACTOR = "/api/auth/factor"


@pytest.fixture
def user(db):
    """A user who may sign in at every entry point. The admin would refuse others, whatever they answer."""
    return AdminFactory()


@pytest.fixture
def secret(signed_in, clock):
    """The secret of the user's app, one minute after it was set up. At once its code would be refused as used."""
    secret, _ = set_up(signed_in, clock.now)
    RefreshToken.objects.all().delete()
    clock.forward(60)
    return secret


@pytest.fixture
def browser():
    """A browser that has never been here. In another one, cookies of before could be what opens the session."""
    return new_browser()


def sign_in(browser, user, password=PASSWORD):
    return post(browser, "/api/auth/login", {"email": user.email, "password": password})


def test_a_password_alone_opens_nothing(browser, user, secret):
    answer = sign_in(browser, user)
    assert (answer.status_code, answer.json()["code"]) == (401, "factor_required")
    assert answer.json()["offered"] == ["totp", "recovery_code"]
    assert not {ACCESS, REFRESH} & {*answer.cookies}
    assert not RefreshToken.objects.exists()


def test_a_code_opens_the_session_with_both_factors(browser, user, secret, clock):
    sign_in(browser, user)
    answer = post(browser, FACTOR, {"method": "totp", "answer": code(secret, clock.now)})
    assert answer.status_code == 200, answer.content
    session = answer.json()["session"]
    assert (session["amr"], session["acr"]) == (["pwd", "otp", "mfa"], "aal2")
    assert browser.get("/api/auth/me").status_code == 200


def test_a_recovery_code_opens_it_too_once(browser, user, signed_in, clock):
    _, made = set_up(signed_in, clock.now)
    for number, (text, status) in enumerate([(made[0], 200), (made[0], 401), (made[1], 200)]):
        browser = new_browser()
        assert sign_in(browser, user).status_code == 401
        assert post(browser, FACTOR, {"method": "recovery_code", "answer": text}).status_code == status, number
    assert RecoveryCode.objects.filter(used_at=None).count() == 8
    assert SecurityEvent.objects.filter(kind="recovery_code_used").count() == 2


@pytest.mark.parametrize(
    "answer",
    ["000000", "", None, 5, ["123456"], {"a": "123456"}, "x" * 5000],
    ids=["another code", "an empty text", "null", "a number", "a list", "an object", "a long text"],
)
def test_a_wrong_answer_opens_nothing(browser, user, secret, answer):
    sign_in(browser, user)
    assert post(browser, FACTOR, {"method": "totp", "answer": answer}).status_code in {400, 401}
    assert not RefreshToken.objects.exists()


@pytest.mark.parametrize("path", ["/sign-in", "/admin/login/"])
def test_pages_lead_to_the_page_that_asks(browser, user, secret, clock, path):
    given = {"username": user.email, "password": PASSWORD, "next": "/password/change"}
    answer = browser.post(path, given)
    assert answer.status_code == 302
    assert not RefreshToken.objects.exists()
    page = browser.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "uthenticator app" in page.content.decode()


def test_whoever_has_no_app_is_not_asked(browser, secret):
    assert login(browser, UserFactory())["session"]["amr"] == ["pwd"]


def test_an_app_that_is_not_confirmed_does_not_count(browser, user, signed_in):
    post(signed_in, "/api/auth/factors/totp")
    assert sign_in(browser, user).status_code == 200


def test_an_app_that_is_removed_does_not_count(browser, user, secret, clock):
    sign_in(browser, user)
    post(browser, FACTOR, {"method": "totp", "answer": code(secret, clock.now)})
    assert browser.delete("/api/auth/factors/totp").status_code == 204
    assert not Totp.objects.exists()
    assert sign_in(new_browser(), user).status_code == 200


def test_a_sign_in_of_which_no_method_is_known_needs_a_code_too(browser, user, secret, clock, settings):
    settings.ROOT_URLCONF = "tests.factors.urls"
    with pytest.raises(sessions.FactorRequired):
        browser.force_login(user)
    browser.get(f"/probe/sign-in/{user.email}")
    assert not RefreshToken.objects.exists()
    answer = post(browser, FACTOR, {"method": "totp", "answer": code(secret, clock.now)})
    assert answer.json()["session"]["amr"] == ["otp"]
