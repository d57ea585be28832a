"""django-oauth-toolkit: what it grants on a session ends with the session, the alarm and a new password.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from accounts.links import Purpose
from accounts.service import alarm
from tests.accounts.steps import reset_password as reset_by_link
from tests.browsers import login, post
from tests.factories import PASSWORD, UserFactory, link_token
from tests.tokens.service.threads import in_thread, wait_until_blocked
from tests.tokens.web_steps import signed_in_as
from tokens.contrib.oauth_toolkit.checks import check_validator
from tokens.contrib.oauth_toolkit.models import Granted
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.service.revocation import revoke

SECRET = "the secret of the client"
CALLBACK = "https://client.example.org/callback"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

Answer = dict[str, Any]
pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


@pytest.fixture
def application(db: None) -> Any:
    """A confidential client with the code grant. Without a client nothing could be granted."""
    client = {"client_id": "client", "client_secret": SECRET, "client_type": "confidential"}
    grant = {"authorization_grant_type": "authorization-code", "redirect_uris": CALLBACK, "skip_authorization": True}
    return get_application_model().objects.create(**client, **grant)


def code_for(browser: Client) -> str:
    fields = {"client_id": "client", "response_type": "code", "redirect_uri": CALLBACK, "scope": "read"}
    response = browser.get("/o/authorize/", fields)
    assert response.status_code == 302, response.content
    [code] = parse_qs(urlsplit(response["Location"]).query)["code"]
    return code


def token(**fields: str) -> Any:
    """Ask the token endpoint, as the client's server does."""
    return Client().post("/o/token/", {"client_id": "client", "client_secret": SECRET, **fields})


def exchange(code: str) -> Any:
    return token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)


def renew(answer: Answer) -> Any:
    return token(grant_type="refresh_token", refresh_token=answer["refresh_token"])


def granted(browser: Client) -> Answer:
    """Return the tokens that the client gets from this browser's user."""
    answer = exchange(code_for(browser))
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def works(answer: Answer) -> bool:
    """Whether the access token opens a view."""
    response = Client().get("/probe/either", headers={"Authorization": f"Bearer {answer['access_token']}"})
    return bool(response.status_code == 200)


def assert_ended(*answers: Answer) -> None:
    for answer in answers:
        assert not works(answer)
        assert (renew(answer).status_code, renew(answer).json()["error"]) == (400, "invalid_grant")


def sign_out(browser: Client, user: Any) -> None:
    assert post(browser, "/api/auth/logout").status_code == 204


def deactivate(browser: Client, user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    user.is_active = False
    user.save()


def change_password(browser: Client, user: Any) -> None:
    fields = {"current_password": PASSWORD, "new_password": "a new password, long enough"}
    response = post(browser, "/api/auth/password/change", fields)
    assert response.status_code in {200, 204}, response.content


def reset_password(browser: Client, user: Any) -> None:
    user.refresh_from_db()
    response = reset_by_link(Client(), link_token(Purpose.PASSWORD_RESET, user))
    assert response.status_code == 204, response.content


def raise_alarm(browser: Client, user: Any) -> None:
    alarm.raise_alarm(browser.get("/probe/public").wsgi_request, link_token(Purpose.ALARM, user))


OF_THE_USER = [deactivate, change_password, reset_password, raise_alarm]
WAYS: dict[str, Callable[[Client, Any], Any]] = {
    "a sign-out": sign_out,
    "a sign-out on a page": lambda browser, user: browser.post("/sign-out"),
    "a command": lambda browser, user: call_command("revoke_sessions", "--user", user.email, "--no-input"),
    "the user in another browser": lambda browser, user: signed_in_as(user).delete("/api/auth/sessions"),
    "a reuse": lambda browser, user: revoke(RefreshToken.objects.filter(user=user), RefreshToken.Reason.REUSE),
    **{end.__name__: end for end in OF_THE_USER},
}


class TestTheEndOfTheSession:
    @pytest.mark.parametrize("end", WAYS.values(), ids=WAYS)
    def test_ends_codes_access_tokens_and_refresh_tokens(self, application, signed_in, user, end):
        tokens, code = granted(signed_in), code_for(signed_in)
        rotated = granted(signed_in)
        newest = renew(rotated).json()
        assert works(tokens)
        assert works(newest)
        end(signed_in, user)
        assert_ended(tokens, rotated, newest)
        assert exchange(code).status_code == 400
        for model in (get_access_token_model(), get_refresh_token_model(), get_grant_model(), Granted):
            assert not model.objects.exists()

    @pytest.mark.parametrize("end", [sign_out, change_password], ids=["one session", "all of a user"])
    def test_leaves_what_another_user_has_granted(self, application, signed_in, user, end):
        tokens = granted(signed_in_as(UserFactory()))
        granted(signed_in)
        end(signed_in, user)
        assert works(tokens)
        assert renew(tokens).status_code == 200


@pytest.mark.parametrize("end", [sign_out, *OF_THE_USER])
def test_what_another_session_or_none_has_granted_ends_only_with_all_of_the_user(application, signed_in, user, end):
    tokens, soon = granted(signed_in_as(user)), timezone.now() + timedelta(hours=1)
    get_access_token_model().objects.create(user=user, token="alone", application=application, expires=soon)
    end(signed_in, user)
    assert works(tokens) is works({"access_token": "alone"}) is (end not in OF_THE_USER)


def test_a_token_of_the_package_decides_who_acts_also_beside_our_cookies(application, signed_in, user, another):
    other, holder = another(), UserFactory()
    login(other, holder)
    headers = {"Authorization": f"Bearer {granted(other)['access_token']}"}
    assert signed_in.get("/probe/either", headers=headers).json() == {"pk": str(holder.pk)}
    assert signed_in.get("/probe/either").json() == {"pk": str(user.pk)}
    assert signed_in.get("/probe/who", headers=headers).json()["pk"] == str(user.pk)


def test_a_refresh_adds_no_row_that_says_on_which_session_something_was_granted(application, signed_in):
    tokens = granted(signed_in)
    for _ in range(5):
        tokens = renew(tokens).json()
    assert works(tokens)
    assert Granted.objects.count() == 1


def test_no_token_is_granted_on_a_session_that_has_expired(application, clock, signed_in):
    tokens, code = granted(signed_in), code_for(signed_in)
    clock.forward((RefreshToken.objects.get().ends_at - clock.now).total_seconds())
    assert not works(tokens)
    assert renew(tokens).status_code == 400
    assert (exchange(code).status_code, Granted.objects.exists()) == (400, False)


def test_a_password_that_sql_has_changed_ends_it_too(application, signed_in, user):
    tokens = granted(signed_in)
    get_user_model().objects.filter(pk=user.pk).update(password="pbkdf2_sha256$1$x$x")
    assert renew(tokens).status_code == 400
    assert not works(tokens)


def test_what_a_device_may_have_ends_with_the_session_of_who_allowed_it(application, signed_in):
    application.authorization_grant_type = DEVICE_GRANT
    application.client_type = "public"
    application.save()
    # The endpoint that makes this row fails with the version of oauthlib that is installed.
    codes = {"client_id": "client", "device_code": "a code of the device", "user_code": "WXYZ", "scope": "read"}
    device = get_device_grant_model().objects.create(**codes, expires=timezone.now() + timedelta(minutes=5))
    signed_in.post("/o/device/", {"user_code": "WXYZ"})
    signed_in.post(f"/o/device-confirm/client/{device.user_code}", {"action": "accept"})
    device.refresh_from_db()
    assert (device.status, Granted.objects.get().what) == ("authorized", Granted.DEVICE)
    sign_out(signed_in, None)
    assert (get_device_grant_model().objects.exists(), Granted.objects.exists()) == (False, False)


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_refresh_at_the_same_time_leaves_no_token(application, signed_in, user):
    """The refresh has read its token, and waits for the session that is being ended."""
    tokens = granted(signed_in)
    answers: list[int] = []
    with ExitStack() as stack, durable(writer(RefreshToken)):
        revoke(RefreshToken.objects.filter(user=user), RefreshToken.Reason.SIGNED_OUT)
        stack.enter_context(in_thread(lambda: answers.append(renew(tokens).status_code)))
        wait_until_blocked()
    assert answers == [400]
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.exists()


def test_a_validator_that_binds_nothing_is_an_error(settings):
    assert check_validator() == []
    settings.OAUTH2_PROVIDER = {}
    assert [message.id for message in check_validator()] == ["tokens.E047"]


@pytest.fixture
def require(settings: Any) -> Callable[..., None]:
    """A function that requires a factor of everybody from now on. Until then a password is enough for tokens."""
    factors = ["tokens.web.factors.Password", "factors.totp.TotpFactor"]

    def given(**more: Any) -> None:
        settings.TOKENS = {"FACTORS": factors, "REQUIRED_FACTORS": "everybody", **more}

    return given


@pytest.mark.filterwarnings("ignore:The OAuth 2.0 resource owner password:DeprecationWarning")
def test_a_password_gets_no_tokens_if_it_is_not_enough_to_sign_in(application, require):
    """The password grant of RFC 6749 section 4.3 opens no session."""
    application.authorization_grant_type = "password"
    application.save()
    given = {"grant_type": "password", "username": UserFactory().email, "password": PASSWORD}
    assert token(**given).status_code == 200
    require()
    assert (token(**given).status_code, token(**given).json()["error"]) == (400, "invalid_grant")
    require(REQUIRED_FACTORS="nobody", SIGN_IN_POLICY="tests.attacks.test_sign_in_policy.nobody")
    assert token(**given).status_code == 400


def test_a_session_that_lacks_a_factor_gets_no_tokens_until_it_is_given(application, signed_in, require):
    answer = granted(signed_in)
    require()
    assert renew(answer).status_code == 400
    require(REQUIRED_FACTORS="nobody")
    assert renew(answer).status_code == 200


def test_the_migrations_of_the_adapter_are_complete(db):
    call_command("makemigrations", "--check", "--dry-run")
