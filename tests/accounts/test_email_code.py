"""A code by e-mail, for somebody who can prove in no other way that it is them."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.factors import PERIOD
from tests.accounts.steps import API, NEW_PASSWORD, signed_in_by_session
from tests.browsers import REFRESH, post
from tests.factories import PASSWORD, User, UserFactory
from tests.tokens.api.steps import assert_problem
from tokens import sessions
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

AGAIN = "/api/auth/reauthenticate"
SEND = {"method": "email_code"}


@pytest.fixture(autouse=True)
def _with_codes(settings: Any) -> None:
    """Adds the code to the password, as the settings of the project do."""
    paths = ["tokens.web.factors.Password", "accounts.factors.EmailCode"]
    settings.TOKENS = {**settings.TOKENS, "FACTORS": paths}
    cache.clear()


def mailed(mailoutbox: Any) -> str:
    found = re.search(r"[0-9]{8}", mailoutbox[-1].subject)
    assert found
    return found[0]


def code(browser: Client, mailoutbox: Any) -> dict[str, str]:
    assert post(browser, AGAIN, SEND).json() == {"options": None}
    return {**SEND, "answer": mailed(mailoutbox)}


def test_moves_the_time_and_adds_no_method(browser, clock, mailoutbox):
    answer = post(browser, AGAIN, code(browser, mailoutbox))
    assert answer.status_code == 200
    assert (answer.json()["session"]["amr"], answer.json()["session"]["acr"]) == ([], None)
    assert RefreshToken.objects.get().authenticated_at == clock.now
    assert SecurityEvent.objects.get(kind="reauthenticated").methods == ""
    assert post(browser, f"{API}password/change", {"new_password": NEW_PASSWORD}).status_code == 204
    assert User.objects.get().check_password(NEW_PASSWORD)


def test_works_once_also_as_a_proof(browser, mailoutbox):
    del browser.cookies[REFRESH]
    given = code(browser, mailoutbox)
    change = {"email": "new@example.org"}
    assert post(browser, f"{API}email/change", {**change, **given}).status_code == 202
    assert_problem(post(browser, f"{API}email/change", {**change, **given}), 401, "invalid_credentials")
    assert_problem(post(browser, AGAIN, given), 401, "invalid_credentials")


def test_is_void_after_another_reauthentication(browser, mailoutbox, clock):
    given = code(browser, mailoutbox)
    clock.forward(1)
    assert post(browser, AGAIN, given).status_code == 200
    cache.clear()  # The cache may forget that it was used.
    assert_problem(post(browser, AGAIN, given), 401, "invalid_credentials")


def test_is_good_for_ten_minutes_at_most(browser, mailoutbox, clock):
    given = code(browser, mailoutbox)
    clock.forward(2 * PERIOD)
    browser.get("/api/auth/me")
    assert_problem(post(browser, AGAIN, given), 401, "invalid_credentials")


def test_is_good_in_its_own_session_only(browser, person, mailoutbox):
    given = code(browser, mailoutbox)
    assert_problem(post(signed_in_by_session(person), AGAIN, given), 401, "invalid_credentials")
    assert_problem(post(signed_in_by_session(UserFactory(password=None)), AGAIN, given), 401, "invalid_credentials")


ANSWERS = {
    "an empty text": "",
    "a wrong code": "00000000",
    "a number": 12345678,
    "null": None,
    "a list": ["1"],
    "an object": {"a": 1},
    "digits of another script": "٠" * 8,
    "NULs": "\x00" * 8,
    "a long text": "9" * 5000,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_another_answer_is_refused(browser, answer, mailoutbox):
    code(browser, mailoutbox)
    assert post(browser, AGAIN, {**SEND, "answer": answer}).status_code in {400, 401}


def test_is_not_offered_to_somebody_who_has_a_password(api, user, clock, mailoutbox):
    post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    before = len(mailoutbox)
    clock.forward(1000)
    assert post(api, AGAIN, SEND).json() == {"options": None}
    assert len(mailoutbox) == before
    assert_problem(post(api, AGAIN, {**SEND, "answer": "1"}), 401, "invalid_credentials")
    refused = post(api, f"{API}email/change", {"email": "new@example.org"})
    assert refused.json()["offered"] == ["password"]


@pytest.mark.usefixtures("throttled")
def test_only_some_mails_are_sent_to_an_account_and_only_some_codes_are_tried(browser, mailoutbox):
    for _ in range(8):
        post(browser, AGAIN, SEND)
    assert len([mail for mail in mailoutbox if "code" in mail.subject]) == 5
    answers = {post(browser, AGAIN, {**SEND, "answer": "00000000"}).status_code for _ in range(60)}
    assert answers == {401, 429}


@pytest.mark.parametrize("path", ["/sign-in/again?next=/email/change", "/account/delete"])
def test_pages_have_a_button_that_sends_it(browser, mailoutbox, path):
    if path != "/sign-in/again?next=/email/change":
        del browser.cookies[REFRESH]
    page = browser.get(path).content.decode()
    assert 'name="send" value="email_code"' in page
    sent = browser.post(path, {"send": "email_code", "next": "/email/change"}).content.decode()
    assert "We have sent a code to your address." in sent
    given = {"method": "email_code", "current_password": f" {mailed(mailoutbox)} ", "sure": "on"}
    assert browser.post(path, given).status_code == 302


def test_the_page_of_devices_has_it_too(browser, mailoutbox):
    del browser.cookies[REFRESH]
    path = "/sessions/end-others"
    page = browser.post(path)
    assert 'value="email_code"' in page.content.decode()
    browser.post(path, {"send": "email_code"})
    given = {"method": "email_code", "current_password": mailed(mailoutbox)}
    assert browser.post(path, given).status_code == 302


def test_is_not_offered_at_a_sign_in(person, rf, browser):
    """It would prove nothing there, and be asked for again and again."""
    assert sessions.factors.offered(rf.get("/"), person) == []
    assert [*sessions.factors.of_user(person)] == ["email_code"]
    assert post(browser, f"{API}email/change", {"email": "new@example.org"}).json()["offered"] == ["email_code"]
