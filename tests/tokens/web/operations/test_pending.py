"""A pending sign-in: what it permits, how often, for how long, and what it tells."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, AsyncBrowser, login, post
from tests.factories import PASSWORD, UserFactory
from tests.parallel import at_once
from tests.tokens.api.steps import refusal
from tests.tokens.service.holders import change_password
from tests.tokens.testing.policies import two_factors
from tests.tokens.web.steps import CODE, answer, begin
from tests.tokens.web_steps import who
from tokens import sessions
from tokens.conf import keyring, tenants
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.client import Client as ClientOfTest
from tokens.sessions import Factor
from tokens.web.operations import pending
from tokens.web.operations.admission import SessionToOpen

HERE = __name__
PENDING = "__Host-pending"
ANOTHER = "654321"


def three_factors(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if {"pwd", "otp", "kba"} <= methods.keys() else sessions.MoreNeeded()


def refuses_codes(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Refuse("No codes here.") if "otp" in methods else sessions.MoreNeeded()


def asks_for_the_password_again(request: Any, user: Any, methods: Any) -> Any:
    return sessions.MoreNeeded(["password"])


class Code(Factor):
    """A code. What was used up is noted in the database, so a rollback brings it back."""

    name, label = "totp", "code"
    proves = frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return user.email.startswith("owner")

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        if answer != CODE:
            return None
        return ["otp"] if get_user_model().objects.filter(pk=user.pk).update(last_login=None) else None


class Question(Code):
    name, label = "question", "question"
    proves = frozenset({"kba"})

    def begin(self, request: Any, user: Any) -> Any:
        return {"kind": "pet"}

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return ["kba"] if answer == {"pet": "cat"} else None


@pytest.fixture
def policy(settings: Any) -> Any:
    """A function that sets the policy, which has two factors beside the password. With one, nobody could choose."""

    settings.ROOT_URLCONF = "tests.urls"

    def given(function: Any, **more: Any) -> None:
        factors = ["tokens.web.factors.Password", f"{HERE}.Code", f"{HERE}.Question"]
        of_policy = {"FACTORS": factors, "SIGN_IN_POLICY": f"{function.__module__}.{function.__name__}"}
        settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie", "body"], **of_policy, **more}

    given(two_factors)
    return given


@pytest.fixture
def owner(db: None, policy: Any) -> Any:
    """A user who has a code. Other users have none, and could be asked for the question only."""
    return UserFactory(email="owner@example.org")


@pytest.fixture
def browser(owner: Any) -> Client:
    """A browser in which the owner has given the password. In a new one, a factor is refused: nothing has begun."""
    found = Client(headers={"User-Agent": FIREFOX})
    assert begin(found, owner).status_code == 401
    return found


pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


class TestTheNextStep:
    def test_is_named_by_the_answer_to_the_password(self, owner):
        response = begin(Client(), owner)
        assert (response.status_code, response["Content-Type"]) == (401, "application/problem+json")
        assert response["Cache-Control"] == "private, no-store"
        found = response.json()
        assert (found["code"], found["offered"]) == ("factor_required", ["totp", "question"])
        assert (found["verify"], found.get("pending")) == ("/api/auth/factor", None)
        cookie = response.cookies[PENDING]
        assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
        assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", 600)

    def test_opens_the_session_with_all_that_was_proved(self, browser, owner):
        response = answer(browser)
        assert response.status_code == 200, response.content
        session = response.json()["session"]
        assert (session["amr"], session["acr"]) == (["pwd", "otp", "mfa"], "aal2")
        assert {ACCESS, REFRESH, DEVICE} <= response.cookies.keys()
        assert (browser.cookies[PENDING].value, who(browser)) == ("", str(owner.pk))
        assert post(browser, "/api/auth/refresh").status_code == 200

    def test_keeps_what_the_first_one_has_asked_for(self, owner, client):
        given = {"mode": "body", "remember": True, "device_name": "my telephone"}
        first = begin(client, owner, **given)
        assert PENDING not in first.cookies
        session = answer(client, pending=first.json()["pending"]).json()
        assert session["refresh_token"]
        assert session["session"]["device"]["name"] == "my telephone"
        row = RefreshToken.objects.get()
        assert (row.remember, row.mode) == (True, "body")
        session_id, *_ = json.loads(pending.urlsafe_b64decode(first.json()["pending"].split(".")[0] + "=="))
        assert str(row.id) == session_id

    def test_tells_what_a_factor_needs_before_it_can_be_answered(self, browser, clock, owner):
        begin(browser, owner)
        for method, options in {"question": {"kind": "pet"}, "totp": None, "unknown": None}.items():
            response = post(browser, "/api/auth/factor", {"method": method})
            assert (response.status_code, response.json()) == (200, {"options": options})
        clock.forward(601)
        assert refusal(post(browser, "/api/auth/factor", {"method": "question"})) == (401, "factor_refused")

    def test_under_asgi(self, owner):
        browser = AsyncBrowser(headers={"User-Agent": FIREFOX})
        begin(browser, owner)
        assert (answer(browser).status_code, who(browser)) == (200, str(owner.pk))

    def test_may_not_be_the_last(self, owner, policy, api):
        policy(three_factors)
        begin(api, owner)
        first = api.cookies[PENDING].value
        second = answer(api)
        assert (second.status_code, second.json()["offered"]) == (401, ["question"])
        assert api.cookies[PENDING].value != first
        assert not RefreshToken.objects.exists()
        third = answer(api, {"pet": "cat"}, "question")
        assert third.json()["session"]["amr"] == ["pwd", "otp", "kba", "mfa"]
        api.cookies[PENDING] = first
        assert (answer(api).status_code, RefreshToken.objects.count()) == (401, 1)

    def test_may_be_refused_by_the_policy(self, owner, policy, client):
        policy(refuses_codes)
        begin(client, owner)
        response = answer(client)
        assert (refusal(response), response.json()["detail"]) == ((403, "sign_in_refused"), "No codes here.")
        assert not RefreshToken.objects.exists()

    def test_is_refused_at_once_to_an_account_without_a_factor(self, policy):
        response = begin(Client(), UserFactory())
        assert refusal(response) == (403, "sign_in_refused")
        assert PENDING not in response.cookies

    def test_permits_nothing_else(self, browser, owner):
        for path in ("/api/auth/me", "/api/auth/sessions"):
            assert browser.get(path).status_code == 401
        for path in ("/api/auth/refresh", "/api/auth/reauthenticate", "/api/auth/password/change"):
            assert post(browser, path, {"password": PASSWORD}).status_code in {400, 401}
        assert not RefreshToken.objects.exists()

    def test_of_a_page_of_another_origin_is_refused(self, browser):
        headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        body = {"method": "totp", "answer": CODE}
        response = browser.post("/api/auth/factor", body, content_type="application/json", headers=headers)
        assert refusal(response) == (403, "cross_origin")


def used(owner: Any, browser: Client, clock: Any) -> None:
    text = browser.cookies[PENDING].value
    assert answer(browser).status_code == 200
    browser.cookies.clear()
    browser.cookies[PENDING] = text


def of_another_device(owner: Any, browser: Client, clock: Any) -> None:
    """The pending sign-in began on a known device, and is presented without its cookie."""
    browser.cookies.clear()
    begin(browser, owner)
    answer(browser)
    begin(browser, owner)
    for name in [name for name in browser.cookies if name != PENDING]:
        del browser.cookies[name]
    RefreshToken.objects.all().delete()


ENDS = {
    "after ten minutes": lambda owner, browser, clock: clock.forward(601),
    "with a new password": lambda owner, browser, clock: change_password(type(owner).objects.get(pk=owner.pk)),
    "with a deactivation": lambda owner, browser, clock: type(owner).objects.update(is_active=False),
    "when it has opened a session": used,
    "on another device": of_another_device,
}


class TestItsEnd:
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_is_told_like_a_wrong_answer(self, browser, owner, clock, end):
        begin(browser, owner)  # By the clock of this test.
        wrong = answer(browser, ANOTHER)
        assert refusal(wrong) == (401, "factor_refused")
        end(owner, browser, clock)
        count, of_codes = RefreshToken.objects.count(), type(owner).objects.values_list("last_login", flat=True)
        left, failed = list(of_codes), SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGN_IN_FAILED)
        for given in (CODE, ANOTHER):
            before = failed.count()
            response = answer(browser, given)
            # Somebody who has kept an old one may not know the password any more.
            assert failed.count() - before == (0 if end is ENDS["after ten minutes"] else 1)
            assert (response.status_code, response.content, response.headers) == (401, wrong.content, wrong.headers)
            assert response.cookies.keys() == wrong.cookies.keys()
        assert RefreshToken.objects.count() == count
        assert list(of_codes) == left, "What a right answer has used up is there again."

    def test_is_told_like_a_text_that_is_none(self, browser):
        wrong = answer(browser, ANOTHER)
        for text in ("", "x", "x.y", "é.é", "W10.AAAA", "a" * 4000):
            browser.cookies[PENDING] = text
            response = answer(browser)
            assert (response.status_code, response.content) == (wrong.status_code, wrong.content), text

    def test_of_a_deleted_account_is_no_error(self, browser, owner):
        owner.delete()
        assert answer(browser).status_code == 401

    def test_cannot_be_moved_by_whoever_has_it(self, browser):
        body, mac = browser.cookies[PENDING].value.split(".")
        fields = json.loads(pending.urlsafe_b64decode(body + "=="))
        fields[4] = {"pwd": 1, "otp": 1}
        browser.cookies[PENDING] = f"{pending.urlsafe_b64encode(json.dumps(fields).encode()).decode()}.{mac}"
        assert (answer(browser, ANOTHER).status_code, answer(browser).status_code) == (401, 401)

    def test_keeps_what_a_passkey_has_proved(self, browser, owner, policy):
        """``mfa`` of a passkey does not follow from its other methods."""
        policy(three_factors)
        given = dict.fromkeys(("pop", "user", "mfa"), timedelta(seconds=5))
        text = pending.begin(SessionToOpen(owner, given, "cookie", remember=False), ClientOfTest(), ["totp"])
        found = pending._loads(text)
        assert pending._ago(found).keys() == given.keys()
        assert all(timedelta(seconds=5) <= ago < timedelta(seconds=9) for ago in pending._ago(found).values())

    def test_of_another_release_is_none(self, browser):
        body, _ = browser.cookies[PENDING].value.split(".")
        fields = [*json.loads(pending.urlsafe_b64decode(body + "==")), "a field of tomorrow"]
        body = pending.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=")
        mac = pending._mac(keyring().pending_keys[0], body)
        browser.cookies[PENDING] = f"{body.decode()}.{mac.decode()}"
        assert answer(browser).status_code == 401

    def test_holds_if_the_clock_of_another_server_is_ahead(self, browser, owner, clock):
        begin(browser, owner)
        clock.forward(-5)
        assert answer(browser).status_code == 200

    def test_is_that_of_its_tenant(self, browser, owner):
        with tenants.entered("another"):
            text = pending.begin(SessionToOpen(owner, {}, "cookie", remember=False), ClientOfTest(), ["totp"])
            assert pending._loads(text).user_key == str(owner.pk)
        assert pending._loads(text) is None
        assert answer(browser, pending=text).status_code == 401

    def test_survives_a_change_of_keys(self, browser, change_secret_key):
        change_secret_key()
        assert answer(browser).status_code == 200

    def test_does_not_come_with_a_password_that_is_hashed_anew(self, browser, owner, settings):
        settings.PASSWORD_HASHERS = [*reversed(settings.PASSWORD_HASHERS)]
        assert get_user_model().objects.get(pk=owner.pk).check_password(PASSWORD)
        assert answer(browser).status_code == 200


class TestGuesses:
    def test_are_counted_for_the_account_over_all_devices(self, owner, throttled, clock, policy):
        throttled(factor_account="3/h", sign_in_account="99/h")
        for n in range(3):
            browser = Client(REMOTE_ADDR=f"198.51.{n}.7")
            begin(browser, owner)
            assert answer(browser, ANOTHER).status_code == 401
        browser = Client(REMOTE_ADDR="198.51.9.7")
        begin(browser, owner)
        response = answer(browser)
        assert refusal(response) == (429, "throttled")
        assert int(response["Retry-After"]) > 0

    def test_do_not_keep_a_known_device_out(self, browser, owner, throttled, clock):
        begin(browser, owner)
        answer(browser)
        throttled(factor_account="1/h")
        thief = Client(REMOTE_ADDR="198.51.9.7")
        begin(thief, owner)
        assert [answer(thief, ANOTHER).status_code for _ in range(2)] == [401, 429]
        begin(browser, owner)
        assert answer(browser).status_code == 200

    def test_without_a_genuine_text_are_counted_for_the_network(self, owner, throttled, clock):
        throttled(factor_network="2/h")
        browser = Client(REMOTE_ADDR="198.51.9.7")
        assert [answer(browser, pending="x").status_code for _ in range(3)] == [401, 401, 429]

    def test_that_are_wrong_are_events_of_the_owner(self, browser, owner):
        answer(browser, ANOTHER)
        assert str(SecurityEvent.objects.get(kind=SecurityEvent.Kind.SIGN_IN_FAILED).user_id) == str(owner.pk)

    def test_of_a_password_are_one_event_each(self, browser, policy, settings):
        policy(three_factors, SIGN_IN_POLICY=f"{HERE}.asks_for_the_password_again")
        begin(browser, get_user_model().objects.get())
        assert answer(browser, "wrong", "password").status_code == 401
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGN_IN_FAILED).count() == 1

    def test_need_to_say_which_factor_they_are_of(self, browser):
        for body in ({}, {"answer": CODE}, {"method": 5, "answer": CODE}):
            assert post(browser, "/api/auth/factor", body).status_code == 400, body

    def test_can_be_any_json(self, browser):
        for given in (None, 5, [], {"a": {}}, "", "x" * 5000, "\x00"):
            for method in ("totp", "password"):
                assert answer(browser, given, method).status_code in {400, 401}, given


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_of_two_answers_at_once_one_opens_a_session(policy, another):
    for n in range(5):
        owner = UserFactory(email=f"owner{n}@example.org")
        first, second = another(), another()
        begin(first, owner)
        second.cookies[PENDING] = first.cookies[PENDING].value
        answers = at_once(partial(answer, first), partial(answer, second))
        assert sorted(response.status_code for response in answers) == [200, 401]
        assert RefreshToken.objects.filter(user=owner).count() == 1


def test_without_a_policy_a_sign_in_sets_no_such_cookie(user, client):
    login(client, user)
    assert PENDING not in client.cookies
