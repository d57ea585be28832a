"""django-allauth: a session says how its user has signed in on the package's own pages.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

import json
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
import time_machine
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.test import Client
from django.utils import timezone
from fido2.utils import websafe_encode

from tests.attacks.entry_points import INTROSPECTION
from tests.browsers import ACCESS, FIREFOX, login, post
from tests.factories import PASSWORD, UserFactory
from tests.factors.authenticator import Authenticator as SoftwareAuthenticator
from tests.tokens.web.steps import said
from tests.tokens.web_steps import signed_in_as
from tokens.conf import codec
from tokens.contrib.allauth_methods import say_methods
from tokens.models import RefreshToken
from tokens.protocol.methods import loads
from tokens.web.methods import ATTRIBUTE

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

SECRET = "JBSWY3DPEHPK3PXP"
NONE = ([], None)


@pytest.fixture(autouse=True)
def _service(settings: Any) -> None:
    """Let a service introspect. Without it, it would be answered 404."""
    settings.TOKENS = INTROSPECTION


@pytest.fixture
def browser() -> Client:
    """A browser that has not signed in."""
    return Client(headers={"User-Agent": FIREFOX})


@pytest.fixture
def totp(user: Any) -> Any:
    """The user's app with codes. Without it django-allauth asks for no second factor."""
    return TOTP.activate(user, SECRET).instance


def password(browser: Client, user: Any) -> Any:
    return browser.post("/accounts/login/", {"login": user.email, "password": PASSWORD})


def code() -> str:
    return format_hotp_value(hotp_value(SECRET, list(yield_hotp_counters_from_time())[1]))


def factor(browser: Client, given: str) -> Any:
    return browser.post("/accounts/2fa/authenticate/", {"code": given})


def code_by_mail(browser: Client, user: Any) -> Any:
    assert browser.post("/accounts/login/code/", {"email": user.email}).status_code == 302
    [found] = re.findall(r"^([A-Z0-9]{4}-[A-Z0-9]{4})$", str(mail.outbox[-1].body), re.MULTILINE)
    return browser.post("/accounts/login/code/confirm/", {"code": found})


def registered(user: Any, device: SoftwareAuthenticator) -> None:
    options = {"rp": {"id": "testserver"}, "user": {"id": websafe_encode(user_pk_to_url_str(user).encode())}}
    credential = device.create({**options, "challenge": "unused", "excludeCredentials": []})
    data = {"name": "a passkey", "credential": credential}
    Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data=data)


def by_passkey(browser: Client, user: Any, device: SoftwareAuthenticator) -> Any:
    asked = browser.get("/accounts/2fa/webauthn/login/", headers={"X-Requested-With": "XMLHttpRequest"})
    credential = device.sign({"allowCredentials": [], **asked.json()["request_options"]["publicKey"]})
    return browser.post("/accounts/2fa/webauthn/login/", {"credential": json.dumps(credential)})


def test_a_password_is_one_factor(browser, user):
    assert (password(browser, user).status_code, said(browser)) == (302, (["pwd"], "aal1"))


def test_a_password_opens_nothing_before_the_second_factor_and_then_both_are_said(browser, user, totp):
    assert password(browser, user)["Location"].endswith("/2fa/authenticate/")
    assert not RefreshToken.objects.exists()
    assert (factor(browser, code()).status_code, said(browser)) == (302, (["pwd", "otp", "mfa"], "aal2"))


def test_each_factor_has_its_own_time(browser, user, totp):
    began = timezone.now()
    with time_machine.travel(began, tick=False) as clock:
        password(browser, user)
        clock.shift(timedelta(seconds=80))
        assert factor(browser, code()).status_code == 302
        found = loads(RefreshToken.objects.get().methods)
    assert found["otp"] - found["pwd"] in {79, 80, 81}
    assert found["mfa"] == found["otp"]


def test_a_recovery_code_is_a_second_factor(browser, user, totp):
    given = RecoveryCodes.activate(user).get_unused_codes()[0]
    password(browser, user)
    assert (factor(browser, given).status_code, said(browser)) == (302, (["pwd", "otp", "mfa"], "aal2"))


@pytest.mark.parametrize(("synced", "more"), [(False, []), (True, ["swk"])], ids=["of the device", "synced"])
def test_a_passkey_is_two_factors(browser, user, synced, more):
    device = SoftwareAuthenticator(can_sync=synced, is_synced=synced)
    registered(user, device)
    answer = by_passkey(browser, user, device)
    assert answer.status_code == 302, answer.content
    assert said(browser) == (["pop", "user", "mfa", *more], "aal2")


def test_a_code_by_mail_is_none(browser, user):
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    assert (code_by_mail(browser, user).status_code, said(browser)) == (302, NONE)


def test_a_social_sign_in_is_none(browser):
    began = browser.post("/accounts/dummy/login/")
    fields = {"id": "7", "email": "person@example.org", "email_verified": "on"}
    assert (browser.post(began["Location"], fields).status_code, said(browser)) == (302, NONE)


@pytest.mark.parametrize("has_tried_before", [False, True], ids=["once", "after an attempt by the password"])
def test_a_code_by_mail_and_a_code_of_an_app_are_one_factor(browser, user, totp, has_tried_before):
    """A password that was typed an hour ago, in a sign-in that was not finished, is no factor of a later sign-in."""
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    if has_tried_before:
        with time_machine.travel(timezone.now() - timedelta(hours=1)):
            password(browser, user)
    assert code_by_mail(browser, user)["Location"].endswith("/2fa/authenticate/")
    assert (factor(browser, code()).status_code, said(browser)) == (302, (["otp"], "aal1"))


def test_a_step_of_another_person_does_not_count(user):
    """Records stay in Django's session when the next person begins to sign in."""
    record = {"method": "password", "at": timezone.now().timestamp()}
    for of, expected in ((UserFactory(), None), (user, ["pwd"])):
        session = {AUTHENTICATION_METHODS_SESSION_KEY: [record], "account_authentication_methods_user": str(of.pk)}
        say_methods(request=SimpleNamespace(session=session), user=user)
        assert getattr(user, ATTRIBUTE, None) == (expected and dict.fromkeys(expected, ANY))


def test_our_own_entry_point_says_what_it_has_checked(browser, user, totp):
    login(browser, user)
    assert said(browser) == (["pwd"], "aal1")


def test_an_app_client_says_it_too(user, totp, client):
    began = post(client, "/_allauth/app/v1/auth/login", {"email": user.email, "password": PASSWORD})
    assert began.status_code == 401
    token = {"X-Session-Token": began.json()["meta"]["session_token"]}
    assert post(client, "/_allauth/app/v1/auth/2fa/authenticate", {"code": code()}, **token).status_code == 200
    assert [row.amr for row in RefreshToken.objects.all()] == [["pwd", "otp", "mfa"]]


class TestItsOwnReauthentication:
    """A session that the user opened some time ago, by a password."""

    @pytest.fixture
    def signed_in_before(self, user: Any) -> Any:
        """The browser of a user who signed in by the API an hour ago, and then went to django-allauth's pages."""
        browser = signed_in_as(user)
        # The database's clock cannot be moved.
        RefreshToken.objects.update(authenticated_at=timezone.now() - timedelta(hours=1))
        return browser

    def when(self) -> float:
        """Return how many seconds ago the user has authenticated, by the first session."""
        at = RefreshToken.objects.order_by("id")[0].authenticated_at
        assert at is not None
        return (timezone.now() - at).total_seconds()

    def test_by_the_password_moves_the_time(self, signed_in_before):
        assert self.when() > 3000
        assert signed_in_before.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
        assert self.when() < 60
        assert said(signed_in_before) == (["pwd"], "aal1")

    def test_by_a_code_adds_the_method(self, signed_in_before, totp):
        assert signed_in_before.post("/accounts/2fa/reauthenticate/", {"code": code()}).status_code == 302
        assert self.when() < 60
        assert said(signed_in_before) == (["pwd", "otp", "mfa"], "aal2")

    def test_by_headless_counts_too(self, signed_in_before):
        given = {"password": PASSWORD}
        assert post(signed_in_before, "/_allauth/browser/v1/auth/reauthenticate", given).status_code == 200
        assert self.when() < 60
        assert codec().loads(signed_in_before.cookies[ACCESS].value, timezone.now()).authenticated_at

    def test_with_a_wrong_password_changes_nothing(self, signed_in_before):
        signed_in_before.post("/accounts/reauthenticate/", {"password": "wrong"})
        assert self.when() > 3000

    def test_of_an_app_client_is_not_that_of_the_cookies_beside_its_token(self, signed_in_before):
        other = UserFactory()
        path = "/_allauth/app/v1/auth"
        token = post(Client(), f"{path}/login", {"email": other.email, "password": PASSWORD}).json()["meta"]
        headers = {"X-Session-Token": token["session_token"]}
        answer = post(signed_in_before, f"{path}/reauthenticate", {"password": PASSWORD}, **headers)
        assert answer.status_code == 200
        assert self.when() > 3000
