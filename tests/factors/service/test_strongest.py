"""A change of factors needs the strongest one that the account has, used lately: a password alone is not enough.

On pages too, a person without a password is asked for what they have.
"""

import pytest

from factors.models import RecoveryCode, Totp
from tests.browsers import ACCESS, REFRESH, post
from tests.factories import PASSWORD, UserFactory
from tests.factors.steps import API, BY_TOTP, code, later, set_up
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import instant

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

AGAIN, CODES = "/api/auth/reauthenticate", f"{API}/recovery-codes"
PAGE = "/account/security/recovery-codes"
HOUR = 3600


def make_codes(browser, **body):
    return post(browser, CODES, body)


def begin(browser, **body):
    return post(browser, BY_TOTP, body)


def remove(browser, **body):
    return browser.delete(BY_TOTP, body, content_type="application/json")


each = pytest.mark.parametrize("change", [make_codes, begin, remove])


@pytest.fixture
def owner(signed_in, clock):
    """A browser an hour after its user set up an app, with secret and codes. Before, no proof would be asked for."""
    signed_in.secret, signed_in.codes = set_up(signed_in, clock.now)
    later(signed_in, clock)
    return signed_in


class TestByTheApi:
    @each
    def test_a_password_is_not_enough(self, owner, change):
        before = [*Totp.objects.values()], RecoveryCode.objects.count()
        assert post(owner, AGAIN, {"password": PASSWORD}).status_code == 200
        for body in ({}, {"current_password": PASSWORD}):
            answer = change(owner, **body)
            assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
            assert answer.json()["offered"] == ["totp", "recovery_code"]
        assert ([*Totp.objects.values()], RecoveryCode.objects.count()) == before

    @each
    @pytest.mark.parametrize("method", ["totp", "recovery_code"])
    def test_a_reauthentication_by_the_app_or_a_recovery_code_is(self, owner, change, method, clock):
        answer = code(owner.secret, clock.now) if method == "totp" else owner.codes[0]
        assert post(owner, AGAIN, {"method": method, "answer": answer}).status_code == 200
        assert change(owner).status_code in {200, 204}

    @each
    def test_an_answer_in_the_request_is_enough_even_without_a_refresh_token(self, owner, change, client, clock):
        client.cookies[ACCESS] = owner.cookies[ACCESS].value
        assert change(client, method="totp", answer=code(owner.secret, clock.now)).status_code in {200, 204}

    @each
    def test_a_code_of_an_hour_ago_is_not_though_the_password_is_new(self, owner, change, clock):
        """The session then has the method ``mfa`` of this moment."""
        at = instant(int(clock.now.timestamp()) - HOUR).timestamp()
        RefreshToken.objects.update(methods=f"otp:{int(at)}")
        assert post(owner, AGAIN, {"password": PASSWORD}).json()["session"]["amr"] == ["otp", "pwd", "mfa"]
        assert change(owner).json()["code"] == "reauthentication_required"

    @each
    def test_a_recent_passkey_is_enough(self, owner, change, clock):
        now = int(clock.now.timestamp())
        post(owner, AGAIN, {"password": PASSWORD})
        RefreshToken.objects.update(methods=f"pop:{now} user:{now} mfa:{now}")
        assert change(owner).status_code in {200, 204}

    def test_the_first_app_needs_a_recent_sign_in_only(self, signed_in):
        assert begin(signed_in).status_code == 200

    def test_a_code_that_has_just_confirmed_the_app_counts_in_its_session_alone(self, signed_in, user, clock):
        other = signed_in_as(user)
        set_up(signed_in, clock.now)
        assert make_codes(other).json()["code"] == "reauthentication_required"
        assert make_codes(signed_in).status_code == 200


class TestOnPages:
    def test_the_form_asks_for_a_code_and_the_next_one_does_not(self, owner, clock):
        page = owner.get(PAGE).content.decode()
        assert 'value="totp"' in page
        assert 'value="password"' not in page
        for given in ({}, {"method": "totp", "current_password": "1"}, {"current_password": PASSWORD}):
            assert "<li><code>" not in owner.post(PAGE, given).content.decode()
        right = {"method": "totp", "current_password": code(owner.secret, clock.now)}
        assert "<li><code>" in owner.post(PAGE, right).content.decode()
        assert owner.post("/account/security/app/remove").status_code == 302
        assert not Totp.objects.exists()

    def test_another_app_takes_the_place_of_the_first(self, owner, clock):
        given = {"method": "recovery_code", "current_password": owner.codes[0]}
        assert "<svg" in owner.post("/account/security/app", given).content.decode()
        secret = Totp.objects.get(confirmed_at=None).decrypt()
        answer = owner.post("/account/security/app/confirm", {"code": code(secret, clock.now)})
        assert answer.status_code == 302
        assert Totp.objects.get().decrypt() == secret

    @pytest.mark.parametrize("by", ["with an access token alone", "in a session of an hour ago"])
    def test_a_person_without_a_password_is_asked_for_what_they_have(self, client, clock, by):
        person = UserFactory(password=None)
        client.force_login(person)
        client.get("/devices")
        secret, _ = set_up(client, clock.now)
        later(client, clock)
        if by == "with an access token alone":
            del client.cookies[REFRESH]
        page = client.get(PAGE).content.decode()
        assert "assword" not in page.replace("current_password", "").replace('type="password"', "")
        given = {"method": "totp", "current_password": code(secret, clock.now)}
        assert "<li><code>" in client.post(PAGE, given).content.decode()

    def test_a_wrong_code_is_called_not_right_and_not_a_wrong_password(self, owner):
        page = owner.post(PAGE, {"method": "totp", "current_password": "000000"}).content.decode()
        assert "This is not right." in page
        assert "000000" not in page
