"""django-allauth: no entry point bypasses its second factor or its confirmation of addresses.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa import app_settings, signals
from allauth.mfa.internal.flows import trust
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from tests.accounts.steps import sign_in_by_form
from tests.browsers import FIREFOX
from tests.docs.blocks import block
from tests.docs.code import settings_of
from tests.factories import PASSWORD, AdminFactory
from tests.factors.authenticator import Authenticator as SoftwareAuthenticator
from tests.tokens.contrib.headless.factors import (
    _service,
    browser,
    by_passkey,
    code,
    code_by_mail,
    factor,
    password,
    registered,
    totp,
)
from tests.tokens.web.steps import answer, begin, said
from tests.tokens.web_steps import who
from tokens import sessions
from tokens.checks.packages import check_second_factor
from tokens.contrib import allauth_factors
from tokens.models import Device, RefreshToken

__all__ = ["_service", "browser", "totp"]

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

BOTH = (["pwd", "otp", "mfa"], "aal2")
DOCUMENTED = settings_of(block("docs/how-to/other-packages.md", "# settings.py, with django-allauth"))["TOKENS"]
FACTORS = DOCUMENTED["FACTORS"]


@pytest.fixture
def user(db: None) -> Any:
    """A user who may also sign in to the admin. The admin would refuse another user whatever the policy says."""
    return AdminFactory()


@pytest.fixture(autouse=True)
def _policy(settings: Any, _service: None) -> None:
    """Let the policy hold. Without it, each of these entry points opens a session by a password."""
    settings.TOKENS = {**settings.TOKENS, **DOCUMENTED}


def by_admin(browser: Client, user: Any) -> Any:
    return browser.post("/admin/login/", {"username": user.email, "password": PASSWORD})


each_entry_point = pytest.mark.parametrize(
    "enter", [begin, sign_in_by_form, by_admin], ids=["the API", "the page", "the admin"]
)


@each_entry_point
def test_no_entry_point_walks_round_the_second_factor(browser, user, totp, enter):
    assert enter(browser, user).status_code in {401, 302}
    assert (RefreshToken.objects.exists(), who(browser)) == (False, None)
    response = answer(browser, code())
    assert response.status_code == 200, response.content
    assert said(browser) == BOTH
    assert Authenticator.objects.get().last_used_at


@each_entry_point
def test_whoever_has_no_second_factor_needs_none(browser, user, enter):
    assert enter(browser, user).status_code in {200, 302}
    assert said(browser) == (["pwd"], "aal1")


def test_a_page_asks_for_the_code(browser, user, totp):
    where = by_admin(browser, user)["Location"]
    assert where == "/sign-in/factor"
    assert "Code of an app" in browser.get(where).text
    assert (browser.post(where, {"method": "totp", "answer": code()}).status_code, said(browser)) == (302, BOTH)


def test_a_code_works_once(browser, user, totp):
    begin(browser, user)
    given = code()
    assert answer(browser, given).status_code == 200
    another = Client(headers={"User-Agent": FIREFOX})
    begin(another, user)
    assert answer(another, given).status_code == 401
    cache.clear()


def test_a_recovery_code_works_once(browser, user, totp):
    given = RecoveryCodes.activate(user).get_unused_codes()[0]
    for status in (200, 401):
        browser = Client(headers={"User-Agent": FIREFOX})
        assert begin(browser, user).json()["offered"] == ["totp", "recovery_code"]
        assert answer(browser, given, "recovery_code").status_code == status


@pytest.mark.parametrize("kind", [allauth_factors.TOTP, allauth_factors.RecoveryCode])
def test_anything_else_is_wrong(user, totp, kind):
    RecoveryCodes.activate(user)
    for given in ("000000", "", 5, None, [], {"a": 1}, "\x00", "é" * 99):
        assert kind().verify(None, user, given) is None, given


def test_the_packages_own_flow_opens_a_session_with_both(browser, user, totp):
    password(browser, user)
    assert (factor(browser, code()).status_code, said(browser)) == (302, BOTH)


def test_its_passkey_needs_nothing_else(browser, user):
    device = SoftwareAuthenticator()
    registered(user, device)
    assert (by_passkey(browser, user, device).status_code, said(browser)[1]) == (302, "aal2")


def test_a_password_is_not_enough_where_there_is_a_passkey(browser, user):
    registered(user, SoftwareAuthenticator())
    response = begin(browser, user)
    assert (response.status_code, response.json()["code"]) == (403, "sign_in_refused")
    RecoveryCodes.activate(user)
    assert begin(browser, user).json()["offered"] == ["recovery_code"]


def test_a_browser_that_the_package_trusts_is_not_asked(browser, user, totp, settings):
    settings.MFA_TRUST_ENABLED = True
    response = HttpResponse()
    user.refresh_from_db()
    trust.trust_browser(browser.get("/").wsgi_request, user, response)
    name = app_settings.TRUST_COOKIE_NAME
    browser.cookies[name] = response.cookies[name].value
    assert (begin(browser, user).status_code, begin(Client(), user).status_code) == (200, 401)


def test_without_a_policy_the_check_says_what_can_be_walked_round(settings):
    assert check_second_factor() == []
    settings.TOKENS = {}
    [message] = check_second_factor()
    assert message.id == "tokens.W030"
    assert "second factor can be" in message.msg
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    assert "second factor and confirmation of addresses" in check_second_factor()[0].msg


class TestConfirmation:
    @pytest.fixture(autouse=True)
    def _mandatory(self, settings: Any) -> None:
        """Lets django-allauth require a confirmed address. By default these entry points would let everybody in."""
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"

    @each_entry_point
    def test_no_entry_point_lets_anybody_in_before(self, browser, user, enter):
        response = enter(browser, user)
        assert response.status_code == 403
        assert "Confirm your e-mail address" in response.text
        assert not RefreshToken.objects.exists()
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        assert enter(browser, user).status_code in {200, 302}
        assert said(browser) == (["pwd"], "aal1")

    def test_the_packages_own_pages_say_so_too(self, browser, user):
        assert (password(browser, user).status_code, RefreshToken.objects.exists()) == (302, False)
        EmailAddress.objects.filter(user=user).update(verified=True)
        password(browser, user)
        assert said(browser) == (["pwd"], "aal1")

    def test_a_code_by_mail_confirms(self, browser, user):
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        assert (code_by_mail(browser, user).status_code, said(browser)) == (302, ([], None))


@pytest.mark.parametrize("name", ["authenticator_removed", "authenticator_reset"])
def test_a_device_that_latchkey_spares_is_not_any_more_without_the_factor(user, totp, name):
    """For a policy of the project's own that asks `sessions.is_device_trusted` about django-allauth's factors."""
    device = Device.objects.create(
        user=user, token_digest=b"", created_at=sessions.now(), trusted_until=sessions.now() + timedelta(days=1)
    )
    getattr(signals, name).send(Authenticator, request=None, user=user, authenticator=totp)
    device.refresh_from_db()
    assert device.trusted_until is None
