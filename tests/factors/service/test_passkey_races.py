"""Parallel uses of one challenge, and a passkey that is removed while somebody signs in by it."""

from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from django.test import Client

from factors.models import Passkey, UsedChallenge
from factors.service import passkeys
from tests.browsers import copy_of, post
from tests.factories import PASSWORD
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import BY_PASSKEY, FACTOR, PASSKEYS, begin, create
from tests.parallel import at_once
from tests.tokens.service.threads import in_thread, paused, until_one_waits
from tokens.models import RefreshToken
from tokens.web.operations import one_factor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql"), pytest.mark.long]

USES = 4
rounds_of_each = pytest.mark.parametrize(
    "rounds", [5, pytest.param(100, marks=pytest.mark.exhaustive)], ids="{} rounds".format
)


def together(browser: Client, path: str, body: Any) -> list[int]:
    """Send the same request several times at once, each from a copy of this browser. Return the statuses, in order."""
    copies = [copy_of(browser) for _ in range(USES)]
    return sorted(at_once(*(lambda copy=copy: post(copy, path, body).status_code for copy in copies)))


@rounds_of_each
def test_of_parallel_sign_ins_by_one_challenge_one_succeeds(device, another, rounds):
    for number in range(rounds):
        browser = another()
        before = RefreshToken.objects.count()
        answer = {"answer": device.sign(begin(browser))}
        assert together(browser, BY_PASSKEY, answer) == [200, 401, 401, 401], number
        assert RefreshToken.objects.count() == before + 1


@rounds_of_each
def test_of_parallel_answers_to_one_challenge_one_succeeds(device, signed_in, rounds):
    for number in range(rounds):
        options = post(signed_in, "/api/auth/reauthenticate", {"method": "passkey"}).json()["options"]
        answer = {"method": "passkey", "answer": device.sign(options)}
        assert together(signed_in, "/api/auth/reauthenticate", answer) == [200, 401, 401, 401], number


@rounds_of_each
def test_of_parallel_second_steps_by_one_challenge_one_succeeds(device, another, user, rounds):
    for number in range(rounds):
        browser = another()
        post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        options = post(browser, FACTOR, {"method": "passkey"}).json()["options"]
        answer = {"method": "passkey", "answer": device.sign(options)}
        assert together(browser, FACTOR, answer) == [200, 401, 401, 401], number


@rounds_of_each
def test_of_parallel_creations_by_one_challenge_one_succeeds(signed_in, rounds):
    for number in range(rounds):
        options = post(signed_in, PASSKEYS).json()["options"]
        before = Passkey.objects.count()
        answer = {"credential": Authenticator().create(options)}
        assert together(signed_in, PASSKEYS, answer) == [200, 400, 400, 400], number
        assert Passkey.objects.count() == before + 1
        Passkey.objects.all().delete()


def test_challenges_of_two_passkeys_are_used_at_the_same_time(device, signed_in, another):
    other = Authenticator()
    create(signed_in, other)
    browsers = [another(), another()]
    answers = [{"answer": one.sign(begin(browser))} for one, browser in zip((device, other), browsers, strict=True)]
    jobs = [partial(post, browser, BY_PASSKEY, body) for browser, body in zip(browsers, answers, strict=True)]
    assert [answer.status_code for answer in at_once(*jobs)] == [200, 200]


def test_a_removal_waits_for_a_sign_in_and_the_next_sign_in_for_the_removal(device, signed_in, another, monkeypatch):
    """The session that was opened first is among those that the removal ends."""
    row = Passkey.objects.get()
    ask, statuses = one_factor.sign_in_policy.admit, []

    def sign_in_slowly(pause: Any) -> None:
        def pause_first(*args: Any, **named: Any) -> Any:
            pause()
            return ask(*args, **named)

        monkeypatch.setattr(one_factor.sign_in_policy, "admit", pause_first)
        browser = another()
        statuses.append(post(browser, BY_PASSKEY, {"answer": device.sign(begin(browser))}).status_code)

    def remove() -> None:
        body = {"end_other_sessions": True}
        answer = signed_in.delete(f"{PASSKEYS}/{row.pk}", body, content_type="application/json")
        statuses.append(answer.status_code)

    with ExitStack() as removing, paused(sign_in_slowly):
        removing.enter_context(in_thread(remove))
        until_one_waits()
    assert statuses == [200, 200]
    assert RefreshToken.objects.live().count() == 1


def test_a_passkey_that_was_removed_after_it_was_found_signs_nobody_in(device, another, monkeypatch):
    sign_in_by = passkeys.sessions.sign_in_by

    def after_the_removal(*args: Any, **named: Any) -> Any:
        Passkey.objects.all().delete()
        return sign_in_by(*args, **named)

    monkeypatch.setattr(passkeys.sessions, "sign_in_by", after_the_removal)
    browser = another()
    before = RefreshToken.objects.count()
    answer = post(browser, BY_PASSKEY, {"answer": device.sign(begin(browser))})
    assert (answer.status_code, answer.json()["code"]) == (401, "factor_refused")
    assert (RefreshToken.objects.count(), UsedChallenge.objects.count()) == (before, 1)
