"""An authenticator app: set up by one code, used once for each step, replaced, removed."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth import get_user_model

from factors.encryption import Encrypted, Unreadable, decrypt, encrypt
from factors.models import RecoveryCode, Totp
from factors.service import totp
from tests.browsers import login, post
from tests.factories import UserFactory
from tests.factors.steps import API, BY_TOTP, code, set_up
from tests.parallel import at_once
from tokens.conf import tenants
from tokens.models import SecurityEvent
from tokens.sessions import factors

pytestmark = pytest.mark.django_db


class TestSettingUp:
    def test_needs_one_code(self, signed_in, user, clock):
        secret = post(signed_in, BY_TOTP).json()["secret"]
        assert factors.offered(None, user) == ["password"]
        assert factors.verify(None, user, "totp", code(secret, clock.now)) is None
        assert post(signed_in, f"{BY_TOTP}/confirm", {"code": "000000"}).json()["code"] == "wrong_code"
        assert factors.offered(None, user) == ["password"]
        assert post(signed_in, f"{BY_TOTP}/confirm", {"code": code(secret, clock.now)}).status_code == 200
        assert factors.offered(None, user) == ["password", "totp", "recovery_code"]
        assert SecurityEvent.objects.filter(kind="factor_added", reason="totp", user=user).count() == 1

    def test_uses_up_its_code(self, signed_in, user, clock):
        secret, _ = set_up(signed_in, clock.now)
        assert not totp.verify(user, code(secret, clock.now))
        assert totp.verify(user, code(secret, clock.now, 1))

    def test_ends_after_an_hour(self, signed_in, clock):
        secret = post(signed_in, BY_TOTP).json()["secret"]
        clock.forward(3601)
        login(signed_in, get_user_model().objects.get())
        answer = post(signed_in, f"{BY_TOTP}/confirm", {"code": code(secret, clock.now)})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_again_leaves_the_first_app_until_the_second_is_confirmed(self, signed_in, user, clock):
        first, _ = set_up(signed_in, clock.now)
        second = post(signed_in, BY_TOTP).json()["secret"]
        assert totp.verify(user, code(first, clock.now, 1))
        clock.forward(60)
        assert post(signed_in, f"{BY_TOTP}/confirm", {"code": code(second, clock.now)}).json() == {"recovery_codes": []}
        assert not totp.verify(user, code(first, clock.now, 1))
        assert totp.verify(user, code(second, clock.now, 1))
        assert Totp.objects.count() == 1

    def test_twice_leaves_the_second_secret_only(self, signed_in, clock):
        first = post(signed_in, BY_TOTP).json()["secret"]
        second = post(signed_in, BY_TOTP).json()["secret"]
        answers = [post(signed_in, f"{BY_TOTP}/confirm", {"code": code(text, clock.now)}) for text in (first, second)]
        assert [answer.status_code for answer in answers] == [400, 200]

    def test_stores_no_secret_that_can_be_read(self, signed_in, clock):
        secret, made = set_up(signed_in, clock.now)
        row = Totp.objects.values().get()
        assert secret not in str(row)
        assert secret.encode() not in bytes(row["secret"])
        stored = {bytes(digest) for digest in RecoveryCode.objects.values_list("digest", flat=True)}
        assert len(stored) == len(made) == 10
        assert not stored & {text.replace("-", "").encode() for text in made}


class TestACode:
    @pytest.fixture
    def secret(self, signed_in, clock):
        """The secret of the user's app, one minute after it was set up. At once its code would be refused as used."""
        secret, _ = set_up(signed_in, clock.now)
        clock.forward(60)
        return secret

    @pytest.mark.parametrize("steps", [-1, 0, 1], ids=["of the step before", "of this step", "of the next step"])
    def test_works_once(self, user, secret, clock, steps):
        text = code(secret, clock.now, steps)
        assert factors.verify(None, user, "totp", text) == {"otp": timedelta()}
        assert factors.verify(None, user, "totp", text) is None

    def test_of_somebody_else_does_not_work(self, secret, clock):
        assert not totp.verify(UserFactory(), code(secret, clock.now))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.exhaustive)], ids="{} rounds".format)
def test_of_parallel_uses_of_one_code_one_succeeds(signed_in, user, clock, rounds):
    secret, _ = set_up(signed_in, clock.now)
    for number in range(rounds):
        clock.forward(30)
        text = code(secret, clock.now)
        found = at_once(*[partial(totp.verify, user, text)] * 4)
        assert sorted(found) == [False, False, False, True], number


class TestRemoving:
    def test_ends_the_app_and_the_recovery_codes(self, signed_in, user, clock):
        set_up(signed_in, clock.now)
        assert signed_in.delete(BY_TOTP).status_code == 204
        assert factors.offered(None, user) == ["password"]
        assert (Totp.objects.count(), RecoveryCode.objects.count()) == (0, 0)
        assert SecurityEvent.objects.filter(kind="factor_removed", reason="totp", user=user).count() == 1
        assert signed_in.delete(BY_TOTP).status_code == 404

    def test_goes_with_the_account(self, signed_in, user, clock):
        set_up(signed_in, clock.now)
        user.delete()
        assert (Totp.objects.count(), RecoveryCode.objects.count()) == (0, 0)


class TestEncryption:
    def test_is_bound_to_the_row(self):
        sealed = encrypt("a secret", "row 1")
        assert decrypt(sealed, "row 1") == "a secret"
        with pytest.raises(Unreadable):
            decrypt(sealed, "row 2")
        with pytest.raises(Unreadable):
            decrypt(Encrypted(sealed.key_id, b""), "row 1")

    def test_of_one_row_is_of_no_use_in_the_row_of_somebody_else(self, signed_in, user, clock):
        secret, _ = set_up(signed_in, clock.now)
        thief = UserFactory()
        row = Totp.objects.get()
        Totp.objects.create(
            user=thief, key_id=row.key_id, secret=row.secret, created_at=clock.now, confirmed_at=clock.now
        )
        assert not totp.verify(thief, code(secret, clock.now, 1))

    def test_goes_on_under_an_older_key_and_a_use_encrypts_again(self, signed_in, user, clock, settings):
        secret, _ = set_up(signed_in, clock.now)
        old = bytes(Totp.objects.get().key_id)
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another secret of good length" * 2
        assert totp.verify(user, code(secret, clock.now, 1))
        assert bytes(Totp.objects.get().key_id) != old
        settings.SECRET_KEY_FALLBACKS = []
        clock.forward(60)
        assert totp.verify(user, code(secret, clock.now, 1))

    def test_without_its_key_refuses_every_code_and_says_so_in_the_log(self, signed_in, user, clock, settings, caplog):
        secret, _ = set_up(signed_in, clock.now)
        settings.SECRET_KEY = "another secret of good length" * 2
        assert factors.verify(None, user, "totp", code(secret, clock.now, 1)) is None
        assert "cannot be read" in caplog.text
        assert secret not in caplog.text


def test_the_list_says_what_an_account_has(signed_in, clock):
    assert signed_in.get(API).json() == {"offered": ["password"], "totp": None, "recovery_codes_left": 0}
    set_up(signed_in, clock.now)
    assert signed_in.get(API).json() == {
        "offered": ["password", "totp", "recovery_code"],
        "totp": {"created_at": "2030-01-01T12:00:00Z"},
        "recovery_codes_left": 10,
    }


def test_each_tenant_has_keys_of_its_own():
    with tenants.entered("first"):
        sealed = encrypt("a secret", "row 1")
        assert decrypt(sealed, "row 1") == "a secret"
    with tenants.entered("second"), pytest.raises(Unreadable):
        decrypt(sealed, "row 1")
