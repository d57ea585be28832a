"""Recovery codes: each works once, a new set ends the old one, and a mail tells the owner."""

from datetime import timedelta
from functools import partial

import pytest

from factors.models import RecoveryCode
from factors.service import recovery_codes
from tests.browsers import FIREFOX, login, post
from tests.factories import UserFactory
from tests.factors.steps import API, set_up
from tests.parallel import at_once
from tokens.models import SecurityEvent
from tokens.sessions import factors

pytestmark = pytest.mark.django_db

CODES = f"{API}/recovery-codes"


@pytest.fixture
def made(signed_in, clock, mailoutbox):
    """The recovery codes that the user got with the app, and an empty mailbox."""
    _, made = set_up(signed_in, clock.now)
    mailoutbox.clear()
    return made


def test_there_are_ten_with_the_first_app(made):
    assert len(set(made)) == 10


def test_each_works_once(user, made):
    for number, text in enumerate(made):
        assert factors.verify(None, user, "recovery_code", text) == {"otp": timedelta()}
        assert factors.verify(None, user, "recovery_code", text) is None
        assert recovery_codes.left(user) == 9 - number
    assert factors.offered(None, user) == ["password", "totp"]


def test_those_of_somebody_else_do_not_work(made):
    assert not recovery_codes.verify(None, UserFactory(), made[0])


def test_a_use_is_recorded_without_the_code(user, made, rf):
    request = rf.get("/", REMOTE_ADDR="203.0.113.7", headers={"User-Agent": FIREFOX})
    assert recovery_codes.verify(request, user, made[0])
    assert SecurityEvent.objects.get(kind="recovery_code_used").user_id == user.pk
    assert made[0] not in str(list(SecurityEvent.objects.values()))


@pytest.mark.django_db(transaction=True)
def test_a_mail_tells_the_owner_of_each_change_with_the_link_of_the_alarm(signed_in, user, clock, mailoutbox):
    mailoutbox.clear()
    _, made = set_up(signed_in, clock.now)
    recovery_codes.verify(None, user, made[0])
    post(signed_in, CODES)
    signed_in.delete(f"{API}/totp")
    assert [mail.subject for mail in mailoutbox] == [
        "A new way to sign in to your account",
        "A recovery code was used",
        "Your account has new recovery codes",
        "A way to sign in to your account was removed",
    ]
    assert all("/alarm?token=" in mail.body and mail.to == [user.email] for mail in mailoutbox)
    assert [name for name in ("authenticator app", "recovery code") if name in mailoutbox[0].body] == [
        "authenticator app"
    ]
    assert not any(text in mail.body for text in made for mail in mailoutbox)


def test_a_new_set_ends_the_old_one(signed_in, user, made):
    new = post(signed_in, CODES).json()["recovery_codes"]
    assert not set(new) & set(made)
    assert not recovery_codes.verify(None, user, made[0])
    assert recovery_codes.verify(None, user, new[0])
    assert RecoveryCode.objects.count() == 10


def test_an_app_that_replaces_another_leaves_the_codes(signed_in, user, made, clock):
    clock.forward(60)
    assert set_up(signed_in, clock.now)[1] == []
    assert recovery_codes.verify(None, user, made[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.exhaustive)], ids="{} rounds".format)
def test_of_parallel_uses_of_one_code_one_succeeds(signed_in, user, clock, rounds):
    _, made = set_up(signed_in, clock.now)
    for number in range(rounds):
        if number % 10 == 0:
            made = post(signed_in, CODES).json()["recovery_codes"]
        text = made[number % 10]
        found = at_once(*[partial(recovery_codes.verify, None, user, text)] * 4)
        assert sorted(found) == [False, False, False, True], number


def test_a_set_is_for_the_account_that_asked(signed_in, user, another):
    login(another(), other := UserFactory())
    post(signed_in, CODES)
    assert (recovery_codes.left(user), recovery_codes.left(other)) == (10, 0)
