"""An authenticator app is set up at a sign-in, by a user who needs one (REQUIRED_FACTORS) and has none."""

import re
from functools import partial
from html import unescape
from threading import Barrier
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client

from factors.models import Passkey, RecoveryCode, Totp
from factors.recovery import RecoveryCodeFactor
from tests.browsers import ACCESS, REFRESH, new_browser, post
from tests.factories import PASSWORD, AdminFactory, User
from tests.factors import passkey_steps
from tests.factors.authenticator import Authenticator
from tests.factors.steps import BY_TOTP, code, set_up
from tests.parallel import at_once
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

FACTOR, NAME = "/api/auth/factor", "enrol_totp"
FACTORS = [
    "tokens.web.factors.Password",
    "factors.totp.TotpFactor",
    "factors.recovery.RecoveryCodeFactor",
    "factors.enrolment.TotpEnrolment",
]


@pytest.fixture
def required(settings: Any) -> Any:
    """A function that sets of whom a factor is required, at first of the staff. Without it nobody has to enrol."""

    def given(whom: str, *more: str) -> None:
        settings.TOKENS = {**settings.TOKENS, "FACTORS": [*FACTORS, *more], "REQUIRED_FACTORS": whom}

    given("staff")
    return given


@pytest.fixture
def user(db: None) -> Any:
    """A member of the staff. Of others no factor is required at first, so that a missing enrolment would pass."""
    return AdminFactory()


def sign_in(client: Client, user: Any) -> Any:
    return post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD})


def begun(user: Any) -> Client:
    """Return a new browser in which the password of this user was right."""
    browser = new_browser()
    sign_in(browser, user)
    return browser


@pytest.fixture
def client(user: Any, required: Any, clock: Any) -> Client:
    """A browser in which the password was right, so that an app is to be set up next. Before, no code is read."""
    return begun(user)


def secret_in(client: Client) -> str:
    answer = post(client, FACTOR, {"method": NAME})
    assert answer.status_code == 200, answer.content
    found: str = answer.json()["options"]["secret"]
    return found


def enrol(client: Client, text: str) -> Any:
    return post(client, FACTOR, {"method": NAME, "answer": text})


class TestByTheApi:
    def test_a_password_opens_a_session_only_with_a_new_app(
        self, user, required, clock, django_capture_on_commit_callbacks
    ):
        client = new_browser()
        answer = sign_in(client, user)
        assert (answer.status_code, answer.json()["code"], answer.json()["offered"]) == (401, "factor_required", [NAME])
        assert not {ACCESS, REFRESH} & {*answer.cookies}
        options = post(client, FACTOR, {"method": NAME}).json()["options"]
        assert options["otpauth_uri"].startswith("otpauth://totp/")
        assert secret_in(client) == options["secret"]
        assert not RefreshToken.objects.exists()
        with django_capture_on_commit_callbacks(execute=True):
            answer = enrol(client, code(options["secret"], clock.now))
        assert answer.status_code == 200, answer.content
        assert answer.json()["session"]["amr"] == ["pwd", "otp", "mfa"]
        assert client.get("/api/auth/me").status_code == 200
        assert Totp.objects.get().confirmed_at is not None
        assert SecurityEvent.objects.filter(kind="factor_added", user=user, reason="totp").count() == 1
        assert [user.email in message.to for message in mail.outbox if "authenticator app" in message.body] == [True]

    def test_without_the_setting_the_password_is_enough(self, user, required):
        required("nobody")
        assert sign_in(new_browser(), user).status_code == 200

    @pytest.mark.parametrize(
        "answer",
        ["000000", "", None, 5, ["1"], {"a": 1}, "x" * 5000],
        ids=["another code", "an empty text", "null", "a number", "a list", "an object", "a long text"],
    )
    def test_a_wrong_code_sets_up_nothing(self, client, answer):
        secret_in(client)
        assert enrol(client, answer).status_code in {400, 401}
        assert not RefreshToken.objects.exists()
        assert not Totp.objects.filter(confirmed_at__isnull=False).exists()

    def test_a_code_without_a_secret_is_wrong(self, client):
        assert enrol(client, "123456").json()["code"] == "factor_refused"

    def test_the_same_code_is_not_accepted_again(self, client, user, clock):
        text = code(secret_in(client), clock.now)
        assert enrol(client, text).status_code == 200
        second = new_browser()
        assert sign_in(second, user).json()["offered"] == ["totp"]
        assert post(second, FACTOR, {"method": "totp", "answer": text}).status_code == 401

    def test_it_ends_with_the_pending_sign_in(self, client, clock):
        secret = secret_in(client)
        clock.forward(601)
        assert enrol(client, code(secret, clock.now)).json()["code"] == "factor_refused"
        assert post(client, FACTOR, {"method": NAME}).json()["code"] == "factor_refused"


class TestAPasskey:
    @pytest.fixture
    def client(self, user: Any, required: Any, clock: Any) -> Client:
        """A browser after the right password, where both factors are offered. Otherwise no passkey would be taken."""
        required("staff", "factors.passkeys.PasskeyFactor", "factors.enrolment.PasskeyEnrolment")
        found = new_browser()
        assert sign_in(found, user).json()["offered"] == [NAME, "enrol_passkey"]
        return found

    def options(self, client: Client) -> Any:
        return post(client, FACTOR, {"method": "enrol_passkey"}).json()["options"]

    def answer(self, client: Client, given: Any) -> Any:
        return post(client, FACTOR, {"method": "enrol_passkey", "answer": given})

    def test_is_created_in_the_next_step(self, client, user):
        device = Authenticator()
        response = self.answer(client, device.create(self.options(client)))
        assert response.status_code == 200, response.content
        assert response.json()["session"]["amr"] == ["pwd", "pop", "user", "mfa"]
        assert [row.user_id for row in Passkey.objects.all()] == [user.pk]
        assert SecurityEvent.objects.filter(kind="factor_added", user=user, reason="passkey").count() == 1
        again = new_browser()
        assert sign_in(again, user).json()["offered"] == ["passkey"]
        signed = passkey_steps.answer(again, device)
        assert signed.status_code == 200, signed.content
        assert RecoveryCodeFactor().page_after_sign_in(None, user) == "/account/security/recovery-codes"

    def test_of_another_sign_in_is_refused(self, client, user):
        other = begun(user)
        made = Authenticator().create(self.options(client))
        assert self.answer(other, made).json()["code"] == "factor_refused"
        assert self.answer(client, made).status_code == 200

    @pytest.mark.parametrize(
        "given",
        [None, "x", {}, [], {"response": {}}],
        ids=["null", "a text", "an empty object", "an empty list", "an empty response"],
    )
    def test_that_is_none_is_refused(self, client, given):
        self.options(client)
        assert self.answer(client, given).status_code in {400, 401}
        assert not Passkey.objects.exists()

    def test_does_not_replace_what_the_owner_has_set_up_since(self, client, user, clock):
        made = Authenticator().create(self.options(client))
        owner = begun(user)
        assert enrol(owner, code(secret_in(owner), clock.now)).status_code == 200
        assert self.answer(client, made).status_code == 401
        assert not Passkey.objects.exists()


class TestNobodyElse:
    """Somebody else knows the password, and tries to set up an app or to learn the owner's secret."""

    def test_learns_the_secret_that_the_owner_is_shown(self, user, required, clock):
        thief, owner = begun(user), begun(user)
        known = secret_in(thief)
        shown = secret_in(owner)
        assert shown != known
        assert enrol(thief, code(known, clock.now)).status_code == 401
        assert enrol(owner, code(shown, clock.now)).status_code == 200
        assert enrol(thief, code(known, clock.now)).status_code == 401

    def test_replaces_the_app_that_the_owner_has_set_up_since(self, user, required, clock):
        thief, owner = begun(user), begun(user)
        assert enrol(owner, code(secret_in(owner), clock.now)).status_code == 200
        app = Totp.objects.get()
        assert post(thief, FACTOR, {"method": NAME}).json() == {"options": None}
        assert enrol(thief, "123456").status_code == 401
        assert [(row.pk, bytes(row.secret)) for row in Totp.objects.all()] == [(app.pk, bytes(app.secret))]
        clock.forward(60)
        assert sign_in(thief, user).json()["offered"] == ["totp"]

    def test_has_the_page_of_a_session_show_the_secret_of_a_sign_in(self, user, required, clock):
        required("nobody")
        owner = signed_in_as(user)
        post(owner, BY_TOTP)
        required("staff")
        thief = begun(user)
        known = secret_in(thief)
        answer = post(owner, f"{BY_TOTP}/confirm", {"code": code(known, clock.now), "current_password": PASSWORD})
        assert answer.status_code == 404
        assert not Totp.objects.filter(confirmed_at__isnull=False).exists()

    def test_sets_one_up_with_the_answer_to_something_else(self, user, required, clock):
        """It is no factor of the account: nothing but the next step of a sign-in takes it."""
        required("nobody")
        client = signed_in_as(user)
        required("staff")
        for given in ({"method": NAME}, {"method": NAME, "answer": "123456"}):
            answer = post(client, "/api/auth/reauthenticate", given)
            assert answer.json().get("code") == "invalid_credentials" or answer.json() == {"options": None}
        assert NAME not in client.get("/api/auth/factors").json()["offered"]
        assert not Totp.objects.exists()


def test_an_app_that_was_set_up_in_a_session_is_asked_for(user, required, clock):
    required("nobody")
    client = signed_in_as(user)
    secret, recovery = set_up(client, clock.now)
    required("staff")
    assert sign_in(new_browser(), user).json()["offered"] == ["totp", "recovery_code"]
    clock.forward(60)
    other = begun(user)
    assert post(other, FACTOR, {"method": "totp", "answer": code(secret, clock.now)}).status_code == 200
    assert recovery


class TestOnPages:
    def test_the_first_sign_in_to_the_admin(self, required, clock):
        call_command("createsuperuser", email="first@example.org", interactive=False)
        user = User.objects.get(email="first@example.org")
        user.set_password(PASSWORD)
        user.save()
        client = new_browser()
        answer = client.get("/admin/", follow=True)
        assert answer.redirect_chain == [("/admin/login/?next=/admin/", 302)]
        given = {"username": user.email, "password": PASSWORD, "next": "/admin/"}
        answer = client.post("/admin/login/?next=/admin/", given)
        assert (answer.status_code, answer["Location"]) == (302, "/sign-in/factor?next=%2Fadmin%2F")
        page = client.get(answer["Location"]).content.decode()
        [secret] = re.findall(r"<code>([A-Z2-7 ]+)</code>", page)
        secret = secret.replace(" ", "")
        assert "<svg" in page
        assert f"secret={secret}" in unescape(page)
        for path in ("/admin/", "/devices", "/account/security", "/api/auth/me"):
            assert client.get(path).status_code in {302, 401}, path
        answer = client.post("/sign-in/factor", {"method": NAME, "answer": "000000", "next": "/admin/"})
        assert answer.status_code == 200
        assert secret in answer.content.decode().replace(" ", "")
        given = {"method": NAME, "answer": code(secret, clock.now), "next": "/admin/"}
        answer = client.post("/sign-in/factor", given)
        assert answer.status_code == 302
        assert client.get("/admin/").status_code == 200
        assert Totp.objects.get().user_id == user.pk

    def test_whoever_has_an_app_and_no_recovery_codes_is_led_to_them(self, client, user, clock, rf):
        factor, request = RecoveryCodeFactor(), rf.get("/")
        assert factor.page_after_sign_in(request, user) is None
        enrol(client, code(secret_in(client), clock.now))
        url = factor.page_after_sign_in(request, user)
        assert url == "/account/security/recovery-codes"
        page = client.get(f"{url}?next=/devices").content.decode()
        assert 'href="/devices"' in page
        page = client.post(url, {"next": "/devices"}).content.decode()
        assert 'href="/devices"' in page
        assert len(re.findall(r"<li><code>", page)) == 10
        assert factor.page_after_sign_in(request, user) is None

    def test_a_page_of_another_site_is_not_led_on_to(self, client, clock):
        enrol(client, code(secret_in(client), clock.now))
        url = "/account/security/recovery-codes?next=https://evil.example/"
        assert "evil" not in client.get(url).content.decode()
        assert "evil" not in client.post(url, {"next": "https://evil.example/"}).content.decode()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.exhaustive)], ids="{} rounds".format)
def test_of_parallel_sign_ins_one_sets_up_an_app(user, required, clock, rounds):
    """Each has a password that is right, and is shown a secret of its own."""
    for number in range(rounds):
        clock.forward(60)
        clients, together = [begun(user) for _ in range(3)], Barrier(3)

        def set_it_up(client, together=together):
            secret = secret_in(client)
            together.wait(20)
            return enrol(client, code(secret, clock.now)).status_code

        assert sorted(at_once(*(partial(set_it_up, client) for client in clients))) == [200, 401, 401], number
        assert Totp.objects.filter(user=user).count() == 1
        assert RefreshToken.objects.count() == 1
        Totp.objects.all().delete()
        RecoveryCode.objects.all().delete()
        RefreshToken.objects.all().delete()
