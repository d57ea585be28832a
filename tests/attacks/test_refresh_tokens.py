"""Attacks with refresh tokens on the endpoint: changed tokens, scripts that ask for tokens, and session fixation."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from itertools import product
from struct import unpack
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.refresh_tokens import PREFIX

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


def raw(token: str) -> bytes:
    return urlsafe_b64decode(token.removeprefix(PREFIX) + "=")


def text(data: bytes) -> str:
    return PREFIX + urlsafe_b64encode(data).rstrip(b"=").decode()


def flipped(token: str, *masks: int) -> list[str]:
    """Return the token with one byte changed by each mask, for every byte."""
    data = raw(token)
    return [text(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]) for at in range(len(data)) for mask in masks]


def parts(token: str) -> tuple[bytes, ...]:
    """Return key id, session id, secret, generation and tag."""
    return unpack("4s16s16s4s16s", raw(token))


@pytest.fixture
def assert_refused(django_assert_num_queries: Any) -> Callable[[Iterable[str]], None]:
    """A function that presents tokens by cookie and in a body, and holds the server to one response for all of them.

    Without the count of queries an attacker could load the database with forged tokens, or measure the difference.
    """

    def check(tokens: Iterable[str]) -> None:
        client, answers = Client(), set()
        with django_assert_num_queries(0):
            for token in tokens:
                for answer in (
                    post(client, "/api/auth/refresh", Cookie=f"{REFRESH}={token}"),
                    post(client, "/api/auth/refresh", {"refresh_token": token}),
                ):
                    answers.add((answer.status_code, answer.content))
        assert [status for status, _ in answers] == [401]

    return check


def test_a_token_with_any_byte_flipped_is_refused(clock, signed_in, assert_refused):
    assert_refused(flipped(signed_in.cookies[REFRESH].value, 0x01, 0x80, 0xFF))
    assert refresh(signed_in).status_code == 200


def test_a_token_that_is_cut_anywhere_is_refused(clock, signed_in, assert_refused):
    token = signed_in.cookies[REFRESH].value
    assert_refused(cut for at in range(1, len(token)) for cut in (token[:at], token[at:]))
    assert refresh(signed_in).status_code == 200


def test_a_mixture_of_two_tokens_is_refused(clock, signed_in, another, assert_refused):
    """The two tokens are of two users, or of two generations of one session."""
    other_user = another()
    login(other_user, UserFactory())
    first = signed_in.cookies[REFRESH].value
    clock.forward(601)
    assert refresh(signed_in).status_code == 200
    for other in (other_user.cookies[REFRESH].value, signed_in.cookies[REFRESH].value):
        mixed = {text(b"".join(choice)) for choice in product(*zip(parts(first), parts(other), strict=True))}
        mixed -= {first, other}
        assert len(mixed) >= 2
        assert_refused(mixed)
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()
    assert refresh(signed_in).status_code == refresh(other_user).status_code == 200


def test_a_changed_token_neither_ends_the_session_nor_records_an_event(clock, signed_in):
    """An attacker who only knows the format of tokens must not fill the list of a user's security events."""
    before = SecurityEvent.objects.count()
    for token in flipped(signed_in.cookies[REFRESH].value, 0x55):
        refresh(Client(), token)
    assert SecurityEvent.objects.count() == before
    assert signed_in.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize("mode", ["cookie", "scoped"])
def test_a_page_with_a_cookie_session_reads_no_token_whatever_it_asks(api, user, settings, clock, mode):
    """An injected script tries to receive the tokens of HttpOnly cookies in a response body."""
    settings.TOKENS = {"MODES": ["cookie", "scoped", "body"]}
    login(api, user, mode=mode)
    given: set[str] = set()
    for path, data in [
        ("refresh", None),
        ("refresh", {}),
        ("refresh", {"mode": "body"}),
        ("refresh?mode=body", {"mode": "body", "grant_type": "refresh_token"}),
        ("reauthenticate", {"password": PASSWORD, "mode": "body"}),
        ("logout?mode=body", {"mode": "body"}),
    ]:
        clock.forward(601)
        answer = post(api, f"/api/auth/{path}", data)
        assert answer.status_code in {200, 204, 401}
        given |= {cookie.value for cookie in api.cookies.values() if len(cookie.value) > 20}
        readable = answer.content.decode() + str({**answer.headers, "Set-Cookie": ""})
        assert not [token for token in given if token in readable], path
        for get in ("me", "sessions", "nothing"):
            assert not [token for token in given if token in api.get(f"/api/auth/{get}").content.decode()], path
    assert len(given) > 4


FORMS = {"page": "/sign-in", "django": "/accounts/login/", "admin": "/admin/login/"}


@pytest.mark.urls("tests.urls")
@pytest.mark.parametrize("where", ["api", *FORMS, "package"])
def test_whoever_signs_in_on_top_of_a_planted_session_gets_one_of_their_own(another, where, clock):
    """Session fixation: the attacker's cookies are in the victim's browser before the victim signs in."""
    attacker, victim, later = another(), another(), another()
    evil, user = UserFactory(is_staff=True), UserFactory(is_staff=True)
    attacker.post("/sign-in", {"username": evil.email, "password": PASSWORD})
    planted = {name: cookie.value for name, cookie in attacker.cookies.items()}
    victim.cookies.load(planted)
    if where == "api":
        login(victim, user)
    elif where == "package":
        victim.get(f"/probe/sign-in/{user.email}")
    else:
        victim.post(FORMS[where], {"username": user.email, "password": PASSWORD})
    mine = victim.get("/probe/who").json()
    assert mine["pk"] == str(user.pk)
    for _ in range(2):
        theirs = attacker.get("/probe/who").json()
        assert theirs["pk"] in {None, str(evil.pk)}
        assert theirs["sid"] != mine["sid"]
        clock.forward(601)
    assert [name for name in (ACCESS, REFRESH) if victim.cookies[name].value == planted[name]] == []
    later.cookies.load(planted)
    assert later.get("/probe/who").json()["pk"] != str(user.pk)
