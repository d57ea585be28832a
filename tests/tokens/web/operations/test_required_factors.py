"""REQUIRED_FACTORS: who is asked for a factor, and what becomes of sessions that lack it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.accounts.steps import sign_in_by_form
from tests.browsers import ACCESS, FIREFOX, REFRESH, SESSION, copy_of, login, post, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.api.steps import refusal
from tests.tokens.service.holders import STILL_TIME
from tests.tokens.web import steps
from tests.tokens.web.steps import CODE, NEW_CODE, answer, begin
from tests.tokens.web_steps import NAVIGATION, signed_in_as, who
from tokens.conf import token_settings
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.protocol.methods import is_strong
from tokens.service import queries, rotation_statement, trust
from tokens.service.opening import with_methods
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

HERE = __name__
AGAIN, FACTOR = "/api/auth/reauthenticate", "/api/auth/factor"
HAS_A_CODE: set[Any] = set()
"""The primary keys of the users who have a code."""
LONG = 700
"""Seconds after which an access token has expired."""


class Code(steps.Code):
    def is_available(self, user: Any) -> bool:
        return user.pk in HAS_A_CODE

    def page_after_sign_in(self, request: Any, user: Any) -> Any:
        return "/password/change" if user.pk in HAS_A_CODE and request.POST.get("hint") else None


class NewCode(Code):
    """Sets the code up."""

    name, is_enrolment = "enrol_totp", True

    def is_available(self, user: Any) -> bool:
        return user.pk not in HAS_A_CODE

    def begin(self, request: Any, user: Any) -> Any:
        return {"code": NEW_CODE}

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        HAS_A_CODE.update({user.pk} if answer == NEW_CODE else ())
        return ["otp"] if answer == NEW_CODE else None


class Question(Code):
    name, proves = "question", frozenset({"kba"})

    def is_available(self, user: Any) -> bool:
        return True

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return ["kba"] if answer == CODE else None


def is_named_ada(user: Any) -> bool:
    return bool(user.email.startswith("ada"))


def fails(user: Any) -> bool:
    raise LookupError("the function of the project has a bug")


@pytest.fixture(autouse=True)
def _nobody_has_a_code() -> None:
    """Forgets who has a code. Otherwise a code of an earlier test would look like one that a thief has set up."""
    HAS_A_CODE.clear()


@pytest.fixture
def required(settings: Any) -> Any:
    """A function that says of whom a factor is required. Until it is called, nobody is asked for one."""
    factors = ["tokens.web.factors.Password", *(f"{HERE}.{kind.__name__}" for kind in (Code, NewCode, Question))]
    settings.TOKENS = {"FACTORS": factors, "MODES": ["cookie", "body"]}

    def given(whom: str = "everybody", **more: Any) -> None:
        settings.TOKENS = {**settings.TOKENS, "REQUIRED_FACTORS": whom, **more}

    return given


@pytest.fixture
def browser(signed_in: Client, clock: Any) -> Client:
    """A browser that was signed in by a password, and has refreshed, before a factor was required."""
    clock.forward(STILL_TIME)
    assert refresh(signed_in).status_code == 200
    return signed_in


@pytest.fixture
def asked(browser: Client, required: Any, clock: Any) -> Client:
    """The browser when a factor is required and its access token has expired. A valid token would still let it in."""
    required()
    clock.forward(LONG)
    return browser


class TestASignIn:
    @pytest.mark.parametrize(
        ("whom", "kind", "given", "status"),
        [
            ("nobody", AdminFactory, {}, 200),
            ("staff", UserFactory, {}, 200),
            ("staff", AdminFactory, {}, 401),
            ("everybody", UserFactory, {}, 401),
            (f"{HERE}.is_named_ada", UserFactory, {"email": "ada@example.org"}, 401),
            (f"{HERE}.is_named_ada", UserFactory, {"email": "bob@example.org"}, 200),
        ],
        ids=["nobody", "a user among staff", "staff", "everybody", "a function that says yes", "one that says no"],
    )
    def test_is_asked_for_a_factor_if_the_setting_says_so(self, db, required, whom, kind, given, status):
        required(whom)
        response = begin(Client(), kind(**given))
        assert response.status_code == status
        if status == 401:
            assert (response.json()["code"], response.json()["offered"]) == ("factor_required", ["enrol_totp"])
            assert not RefreshToken.objects.exists()

    def test_by_a_factor_that_the_account_has(self, user, required, client):
        required()
        HAS_A_CODE.add(user.pk)
        assert begin(client, user).json()["offered"] == ["totp"]
        response = answer(client)
        assert (response.status_code, response.json()["session"]["amr"]) == (200, ["pwd", "otp", "mfa"])
        assert who(client) == str(user.pk)

    def test_by_a_factor_that_is_set_up_in_the_next_step(self, user, required, client):
        required()
        begin(client, user)
        assert post(client, FACTOR, {"method": "enrol_totp"}).json() == {"options": {"code": NEW_CODE}}
        assert answer(client, NEW_CODE, "enrol_totp").status_code == 200
        assert begin(Client(), user).json()["offered"] == ["totp"]

    def test_is_not_let_in_by_what_users_know(self, user, required, client):
        required()
        begin(client, user)
        assert refusal(answer(client, CODE, "question")) == (401, "factor_refused")
        assert not RefreshToken.objects.exists()

    def test_of_a_trusted_device_is_not_asked(self, user, required, clock):
        client = signed_in_as(user)
        required()
        assert begin(client, user).status_code == 401
        trust.begin(Device.objects.get(), user, clock.now)
        assert (begin(client, user).status_code, begin(Client(), user).status_code) == (200, 401)
        clock.forward(30 * 86400)
        assert begin(client, user).status_code == 401

    def test_opens_nothing_if_the_function_fails(self, user, required):
        required(f"{HERE}.fails")
        client = Client(raise_request_exception=False)
        assert (begin(client, user).status_code, RefreshToken.objects.exists()) == (500, False)

    def test_without_a_way_to_set_one_up_is_refused(self, user, required, settings):
        required(FACTORS=["tokens.web.factors.Password", f"{HERE}.Code"])
        assert refusal(begin(Client(), user)) == (403, "sign_in_refused")

    def test_is_asked_by_the_policy_first(self, user, required):
        required(SIGN_IN_POLICY="tests.attacks.test_sign_in_policy.nobody")
        assert refusal(begin(Client(), user)) == (403, "sign_in_refused")


class TestAnOpenSession:
    def test_is_asked_at_its_next_refresh_and_stays_as_it_is(self, browser, user, required, clock):
        required()
        assert who(browser) == str(user.pk)
        before = RefreshToken.objects.get()
        clock.forward(LONG)
        for _ in range(2):
            response = refresh(browser)
            assert (refusal(response), response.json()["offered"]) == ((401, "session_idle"), [])
            assert 'error="insufficient_user_authentication"' in response["WWW-Authenticate"]
            assert (len(response.cookies), who(browser)) == (0, None)
        row = RefreshToken.objects.get()
        assert row.state(row.since) == before.state(before.since)
        assert REFRESH in browser.cookies

    @pytest.mark.parametrize("whom", ["nobody", "staff"])
    def test_of_a_user_who_is_not_asked_goes_on(self, browser, user, required, clock, whom):
        required(whom)
        clock.forward(LONG)
        assert who(browser) == str(user.pk)

    def test_of_a_user_who_becomes_staff_is_asked(self, browser, user, required, clock):
        required("staff")
        user.is_staff = True
        user.save()
        clock.forward(LONG)
        assert refusal(refresh(browser)) == (401, "session_idle")

    def test_that_was_opened_by_a_factor_goes_on(self, user, required, clock, client):
        required()
        begin(client, user)
        answer(client, NEW_CODE, "enrol_totp")
        clock.forward(LONG)
        assert refresh(client).status_code == 200
        clock.forward(LONG)
        assert who(client) == str(user.pk)

    def test_goes_on_by_a_factor_as_the_same(self, asked, user, clock):
        HAS_A_CODE.add(user.pk)
        before = RefreshToken.objects.get()
        assert refresh(asked).json()["offered"] == ["totp"]
        response = post(asked, AGAIN, {"method": "totp", "answer": CODE})
        assert response.status_code == 200, response.content
        assert {ACCESS, REFRESH} <= {*response.cookies}
        row = RefreshToken.objects.get()
        assert (row.id, row.generation, row.amr) == (before.id, before.generation + 1, ["pwd", "otp", "mfa"])
        assert who(asked) == str(user.pk)
        clock.forward(LONG)
        assert refresh(asked).status_code == 200

    @pytest.mark.parametrize("path", [AGAIN, "/api/auth/login"])
    def test_goes_on_by_the_password_and_the_next_step(self, asked, user, path):
        before = RefreshToken.objects.get()
        given = {"password": PASSWORD} if path == AGAIN else {"password": PASSWORD, "email": user.email}
        response = post(asked, path, given)
        assert (refusal(response), response.json()["offered"]) == ((401, "factor_required"), ["enrol_totp"])
        assert who(asked) is None
        assert answer(asked, NEW_CODE, "enrol_totp").status_code == 200
        row = RefreshToken.objects.get()
        assert (row.id, row.generation, row.amr) == (before.id, before.generation + 1, ["pwd", "otp", "mfa"])
        assert (asked.cookies["__Host-pending"].value, who(asked)) == ("", str(user.pk))
        kinds = [event.kind for event in SecurityEvent.objects.filter(user=user).order_by("id")]
        assert kinds == ["signed_in", "new_device", "reauthenticated"]

    def test_is_left_for_a_new_one_if_the_sign_in_asks_for_another_kind(self, asked, user):
        begin(asked, user, remember=True)
        assert (answer(asked, NEW_CODE, "enrol_totp").status_code, RefreshToken.objects.count()) == (200, 2)

    def test_goes_on_by_pages_and_leads_on(self, asked, user):
        before = RefreshToken.objects.get()
        response = asked.get("/devices", headers=NAVIGATION)
        assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/devices")
        page = asked.get("/sign-in?next=/devices", headers=NAVIGATION).content.decode()
        assert user.email in page
        assert "not used for a while" not in page
        response = sign_in_by_form(asked, user, next="/devices")
        assert (response.status_code, response["Location"]) == (302, "/sign-in/factor?next=%2Fdevices")
        given = {"method": "enrol_totp", "answer": NEW_CODE, "next": "/devices", "hint": "on"}
        response = asked.post("/sign-in/factor", given)
        assert (response.status_code, response["Location"]) == (302, "/password/change?next=%2Fdevices")
        assert RefreshToken.objects.get().id == before.id
        assert asked.get("/devices", headers=NAVIGATION).status_code == 200

    def test_goes_on_and_its_device_is_spared_if_the_user_says_so(self, asked, user):
        HAS_A_CODE.add(user.pk)
        assert begin(asked, user).json()["trust_device_for"] == 30 * 86400
        assert (answer(asked, trust_device=True).status_code, RefreshToken.objects.count()) == (200, 1)
        assert begin(asked, user).status_code == 200

    def test_is_asked_although_a_response_of_a_moment_ago_was_lost(self, browser, user, required, clock):
        """Otherwise a repeated refresh would be answered, within the grace."""
        clock.forward(STILL_TIME)
        kept = browser.cookies[REFRESH].value
        assert refresh(browser).status_code == 200
        required()
        HAS_A_CODE.add(user.pk)
        browser.cookies[REFRESH] = kept
        assert refusal(refresh(browser)) == (401, "session_idle")
        assert post(browser, AGAIN, {"method": "totp", "answer": CODE}).status_code == 200
        clock.forward(LONG)
        assert refresh(browser).status_code == 200

    def test_ends_by_a_token_that_proves_a_theft(self, browser, user, required, clock, another):
        thief, first = another(), browser.cookies[REFRESH].value
        for _ in range(2):
            clock.forward(STILL_TIME)
            browser.get("/api/auth/me")
            assert refresh(browser).status_code == 200
        required()
        assert refusal(refresh(thief, first)) == (401, "session_ended")
        assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.REUSE

    def test_signs_nobody_in_by_the_token_or_a_factor_alone(self, asked, user, another):
        HAS_A_CODE.add(user.pk)
        thief, other = copy_of(asked, REFRESH), another()
        assert refusal(post(thief, AGAIN, {"method": "totp", "answer": "wrong"}))[0] == 401
        assert refusal(post(thief, AGAIN, {"method": "question", "answer": CODE})) == (401, "factor_required")
        assert refusal(post(other, AGAIN, {"method": "totp", "answer": CODE})) == (401, "not_authenticated")
        assert who(thief) is who(other) is None

    def test_has_nothing_set_up_for_it_by_the_token_alone(self, asked):
        for given in ({"method": "enrol_totp"}, {"method": "enrol_totp", "answer": NEW_CODE}):
            assert refusal(post(asked, AGAIN, given)) == (401, "invalid_credentials")
            assert refusal(post(asked, FACTOR, given)) == (401, "factor_refused")
        assert not HAS_A_CODE

    def test_that_is_idle_too_needs_what_reopens_it_and_the_factor(self, browser, user, required, clock):
        """A code is enough for the one, and not for the other, if the level of a password reopens (LIFETIMES)."""
        levels = {"aal1": ["pwd"], "aal2": ["mfa"]}
        required("nobody", LIFETIMES={"aal1": {"idle": 3000, "reopens": True}}, ACR_VALUES=levels)
        clock.forward(STILL_TIME)
        assert refresh(browser).status_code == 200
        HAS_A_CODE.add(user.pk)
        required()
        clock.forward(3001)
        assert refusal(refresh(browser)) == (401, "session_idle")
        assert refusal(post(browser, AGAIN, {"method": "totp", "answer": CODE})) == (401, "invalid_credentials")
        assert refusal(post(browser, AGAIN, {"password": PASSWORD})) == (401, "factor_required")
        assert (answer(browser).status_code, RefreshToken.objects.get().amr) == (200, ["pwd", "otp", "mfa"])

    def test_keeps_what_a_view_has_stored(self, user, required, clock, settings, api):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        settings.ROOT_URLCONF = "tests.tokens.web.django_session_urls"
        sign_in_by_form(api, user)
        api.get("/probe/store/cart")
        required()
        clock.forward(LONG)
        key = api.cookies[SESSION].value
        assert api.get("/probe/seen").json() == {"user": None, "django": None, "data": {}}
        for path in ("/devices", "/sign-in"):
            api.get(path, headers=NAVIGATION)
        sign_in_by_form(api, user)
        assert api.cookies[SESSION].value == key
        api.post("/sign-in/factor", {"method": "enrol_totp", "answer": NEW_CODE})
        assert who(api) == str(user.pk)
        pk = str(user.pk)
        assert api.get("/probe/seen").json() == {"user": pk, "django": pk, "data": {"note": "cart"}}

    def test_is_shown_as_what_it_is(self, browser, user, required, another, admin_client):
        required(f"{HERE}.is_named_ada")
        user.email = "ada@example.org"
        user.save()
        HAS_A_CODE.add(user.pk)
        here = another()
        begin(here, user)
        answer(here)
        listed = here.get("/api/auth/sessions").json()["results"]
        assert [(row["idle"], row["lacks_factor"]) for row in listed] == [(False, False), (False, True)]
        assert here.get("/devices").content.decode().count("Needs one more step") == 1
        shown = admin_client.get("/admin/tokens/refreshtoken/").content.decode()
        assert shown.count(">lacks a factor</td>") == 1

    def test_can_be_ended(self, browser, user, required):
        required()
        revoke_all(RefreshToken.objects.unended().filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
        assert refusal(refresh(browser)) == (401, "session_ended")

    def test_by_a_client_that_keeps_its_tokens_itself(self, user, required, clock, api):
        token = login(api, user, mode="body")["refresh_token"]
        HAS_A_CODE.add(user.pk)
        required()
        clock.forward(LONG)
        assert refusal(post(api, "/api/auth/refresh", {"refresh_token": token})) == (401, "session_idle")
        given = post(api, AGAIN, {"method": "totp", "answer": CODE, "refresh_token": token})
        assert given.status_code == 200
        assert given.json()["refresh_token"] != token


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    "whom", ["staff", "everybody", f"{HERE}.is_named_ada"], ids=["of the staff", "of everybody", "of some"]
)
@pytest.mark.parametrize("kind", [UserFactory, AdminFactory], ids=["a user", "a member of the staff"])
def test_the_one_statement_of_a_rotation_leaves_out_all_that_lack_a_factor(required, clock, whom, kind, monkeypatch):
    required("nobody", OWN_METHODS=["badge"])
    client = signed_in_as(kind(email="ada@example.org"))
    clock.forward(STILL_TIME)
    assert refresh(client).status_code == 200
    required(whom)
    rotated = []
    rotate = rotation_statement.rotate
    monkeypatch.setattr(rotation_statement, "rotate", lambda *given: rotated.append(rotate(*given)) or rotated[-1])
    for methods in ("pwd", "otp", "pwd otp mfa", "pop user", "pwd kba", "pwd badge", "user", "fpt", ""):
        names = dict.fromkeys(methods.split(), timedelta())
        RefreshToken.objects.update(methods=with_methods("", names, clock.now))
        clock.forward(STILL_TIME)
        is_asked = (kind is AdminFactory or whom != "staff") and not is_strong(methods.split())
        assert refresh(client).status_code == (401 if is_asked else 200), methods
        assert (rotated[-1] is None) is is_asked, methods


def test_a_session_that_lacks_no_factor_costs_no_statement_more(user, required, clock):
    HAS_A_CODE.add(user.pk)
    counts = []
    for whom in ("nobody", "everybody"):
        required(whom, SIGN_IN_POLICY="tests.tokens.testing.policies.two_factors")
        client = Client(headers={"User-Agent": FIREFOX})
        begin(client, user)
        answer(client)
        clock.forward(STILL_TIME)
        refresh(client)
        clock.forward(LONG)
        with CaptureQueriesContext(connection) as asked:
            assert refresh(client).status_code == 200
        with CaptureQueriesContext(connection) as of_page:
            assert client.get("/api/auth/me").status_code == 200
        counts.append((len(asked), len(of_page)))
    assert counts[0] == counts[1]


def test_a_socket_is_asked_about_again(browser, user, required, clock):
    """It never refreshes, so the row of its session is looked at as often as a refresh would."""
    row = RefreshToken.objects.for_decision().get()
    assert queries.good_until(row) == row.ends_at
    assert {*queries.ends_of_live([row.id])} == {row.id}
    required()
    assert queries.good_until(row) == row.now + token_settings().access_lifetime
    assert queries.ends_of_live([row.id]) == {}
    RefreshToken.objects.update(methods=with_methods("", {"otp": timedelta()}, clock.now))
    assert {*queries.ends_of_live([row.id])} == {row.id}


def test_the_page_that_asks_again_leads_on_to_the_next_step(browser, user, required, clock):
    """While the access token is valid, too. No two pages lead to each other for ever."""
    required()
    response = browser.post("/sign-in/again", {"method": "password", "current_password": PASSWORD, "next": "/devices"})
    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/sign-in/factor")
    response = browser.post("/sign-in/factor", {"method": "enrol_totp", "answer": NEW_CODE, "next": "/devices"})
    assert response["Location"] == "/devices"
    assert (browser.get("/devices", headers=NAVIGATION).status_code, RefreshToken.objects.count()) == (200, 1)
