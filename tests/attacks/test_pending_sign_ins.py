"""Attacks on a pending sign-in, and on the answers to factors: old texts, factors that were not offered, budgets."""

from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client, RequestFactory

from tests.accounts.steps import signed_in_by_session
from tests.browsers import ACCESS, FIREFOX, login, new_browser, post
from tests.factories import PASSWORD, UserFactory
from tests.factors.fixed_code import RIGHT, WRONG, Code
from tokens import sessions
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import revocation
from tokens.service.throttles import Throttled
from tokens.sessions import factors
from tokens.web import attempts

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

HERE = __name__
Reason = RefreshToken.Reason
ANSWER = "/api/auth/factor"


class Weaker(Code):
    """Another factor of the account, which proves the same method. It can be begun."""

    name = "recovery_code"

    def begin(self, request: Any, user: Any) -> Any:
        return {"begun": True}


class Last(Weaker):
    """A factor for accounts that have no other one. It is not offered at a sign-in."""

    name = "last"
    is_last_resort = True


def codes_of_the_app(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "otp" in methods else sessions.MoreNeeded(["totp"])


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """Has a policy that names one of the factors. Without it, nothing would be pending."""
    paths = ["tokens.web.factors.Password", *(f"{kind.__module__}.{kind.__name__}" for kind in (Code, Weaker, Last))]
    policy = f"{HERE}.codes_of_the_app"
    settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie", "body"], "FACTORS": paths, "SIGN_IN_POLICY": policy}
    cache.clear()


@pytest.fixture
def owner(db: None) -> Any:
    """A user with a password. Without one no sign-in would be pending, and each answer would be refused anyway."""
    return UserFactory()


def begin(browser: Client, user: Any, password: str = PASSWORD) -> str:
    response = post(browser, "/api/auth/login", {"email": user.email, "password": password, "mode": "body"})
    assert response.status_code == 401, response.content
    found: str = response.json()["pending"]
    return found


def answer(browser: Client, text: str, given: Any = RIGHT, method: str = "totp") -> Any:
    return post(browser, ANSWER, {"method": method, "answer": given, "pending": text})


def test_an_old_text_does_not_keep_the_owner_out_of_new_devices(owner, throttled, clock):
    """Somebody who has signed in once with an earlier password could use up the owner's answers for ever."""
    thief = Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="198.51.100.7")
    old = begin(thief, owner)
    clock.forward(86400)
    owner.set_password("what the owner has chosen")
    owner.save()
    throttled(factor_account="3/d")
    assert {answer(thief, old, WRONG).status_code for _ in range(6)} == {401}
    assert not SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGN_IN_FAILED).exists()
    browser = Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="203.0.113.7")
    assert answer(browser, begin(browser, owner, "what the owner has chosen")).status_code == 200


@pytest.mark.parametrize("reason", [Reason.ENDED_BY_USER, Reason.ENDED_BY_STAFF, Reason.SIGNED_OUT])
def test_a_sign_out_everywhere_ends_what_a_thief_has_prepared(owner, clock, reason):
    """Also without a session that could end. A sign-out in one browser ends nothing in another one."""
    thief = new_browser()
    text = begin(thief, owner)
    wrong = answer(thief, text, WRONG)
    clock.forward(5)
    revocation.revoke_all(RefreshToken.objects.filter(user=owner), reason, user=owner)
    response = answer(thief, text)
    assert response.status_code == (200 if reason == Reason.SIGNED_OUT else 401)
    assert (response.content == wrong.content) is (reason != Reason.SIGNED_OUT)
    assert answer(thief, begin(thief, owner)).status_code == 200


@pytest.mark.parametrize("method", ["recovery_code", "last"])
def test_a_factor_that_was_not_offered_is_refused(owner, method):
    browser = new_browser()
    text = begin(browser, owner)
    wrong = answer(browser, text, WRONG)
    response = answer(browser, text, RIGHT, method)
    assert (response.status_code, response.content) == (401, wrong.content)
    assert post(browser, ANSWER, {"method": method, "pending": text}).json() == {"options": None}
    assert not RefreshToken.objects.exists()
    assert answer(browser, text).status_code == 200


def test_a_factor_that_was_not_offered_is_no_second_budget(owner, throttled):
    throttled(factor_account="3/d")
    browser = new_browser()
    text = begin(browser, owner)
    assert [answer(browser, text, WRONG, "recovery_code").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_each_reset_of_the_password_gives_no_new_guesses(owner, throttled, clock):
    """A reader of the owner's mail could guess without end: five resets in an hour, and fifty codes after each."""
    throttled(factor_account="2/d", factor_device="3/d")
    made = 0
    for reset in range(4):
        request = RequestFactory().get("/", REMOTE_ADDR=f"198.51.{reset}.7", headers={"User-Agent": FIREFOX})
        attempts.allow_after_reset(request, owner)
        for _ in range(9):
            try:
                assert factors.verify(request, owner, "totp", WRONG) is None
            except Throttled:
                break
            made += 1
    assert made <= 2 + 3


@pytest.mark.parametrize(
    "text", ["\ud800", "\x00", "\ud800" * 3000, "x" * 60000], ids=["half", "NUL", "halves", "long"]
)
@pytest.mark.parametrize("method", ["password", "totp"])
def test_any_text_is_a_wrong_answer(owner, text, method, settings):
    settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": f"{HERE}.password_again"}
    browser = new_browser()
    assert answer(browser, begin(browser, owner), text, method).status_code in {400, 401}
    settings.TOKENS = {name: value for name, value in settings.TOKENS.items() if name != "SIGN_IN_POLICY"}
    login(browser, owner)
    assert post(browser, "/api/auth/reauthenticate", {"method": method, "answer": text}).status_code in {400, 401}


@pytest.mark.parametrize("depth", [300, 900, 985, 1500, 9000, 30000], ids="{} levels".format)
def test_any_depth_is_a_wrong_answer(owner, depth):
    browser = new_browser()
    text = begin(browser, owner)
    body = f'{{"method": "totp", "pending": "{text}", "answer": {"[" * depth}{"]" * depth}}}'
    assert browser.post(ANSWER, body, content_type="application/json").status_code in {400, 401}


def password_again(request: Any, user: Any, methods: Any) -> Any:
    return sessions.MoreNeeded(["password", "totp"])


@pytest.mark.parametrize("method", ["totp", "unknown"])
def test_guesses_in_a_stolen_session_leave_a_trace(owner, method):
    browser = new_browser()
    token = answer(browser, begin(browser, owner)).json()["access_token"]
    thief = Client(headers={"User-Agent": FIREFOX, "Authorization": f"Bearer {token}"})
    for _ in range(2):
        assert post(thief, "/api/auth/reauthenticate", {"method": method, "answer": WRONG}).status_code == 401
    found = SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGN_IN_FAILED)
    assert [(event.user_id, event.reason) for event in found] == [(owner.pk, "factor")] * 2


@pytest.fixture
def person(settings: Any, throttled: Any) -> Any:
    """A user who has nothing but codes by mail. To a user with a password no code would be sent."""
    settings.TOKENS = {"FACTORS": ["tokens.web.factors.Password", "accounts.factors.EmailCode"]}
    throttled(reset_account="2/h")
    return UserFactory(password=None)


def signed_in(person: Any) -> Client:
    browser = signed_in_by_session(person)
    post(browser, "/api/auth/refresh")
    return browser


def mails(browser: Client, times: int) -> list[int]:
    """Ask for a code so often. Return how many mails were sent after each time."""
    before, sent = len(mail.outbox), []
    for _ in range(times):
        assert post(browser, "/api/auth/reauthenticate", {"method": "email_code"}).status_code == 200
        sent.append(len(mail.outbox) - before)
    return sent


def test_strangers_who_ask_for_resets_keep_nobody_from_a_code_by_mail(person):
    browser = signed_in(person)
    for n in range(4):
        stranger = Client(REMOTE_ADDR=f"198.51.{n}.7")
        post(stranger, "/api/auth/password/reset", {"email": person.email})
    assert mails(browser, 4) == [1, 2, 2, 2]


def test_an_access_token_alone_does_not_use_up_the_codes_by_mail(person):
    browser = signed_in(person)
    thief = Client(headers={"User-Agent": FIREFOX, "Authorization": f"Bearer {browser.cookies[ACCESS].value}"})
    assert mails(thief, 3) == [1, 2, 2]
    assert mails(browser, 3) == [1, 2, 2]
