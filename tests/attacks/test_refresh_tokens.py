"""Refresh tokens that somebody has tampered with, at the endpoint; and who asks for tokens that are not for him."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent
from tokens.refresh_tokens import PREFIX

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

PARTS = (4, 16, 16, 4, 16)
"""Bytes of key id, session id, secret, generation, tag."""


@pytest.fixture
def holder(api: Client, user: Any, clock: Any) -> Client:
    """Somebody who is signed in, and is to stay so."""
    login(api, user)
    return api


def raw(token: str) -> bytes:
    return urlsafe_b64decode(token.removeprefix(PREFIX) + "=")


def text(data: bytes) -> str:
    return PREFIX + urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(token: str) -> list[bytes]:
    data, found = raw(token), []
    for size in PARTS:
        found.append(data[:size])
        data = data[size:]
    return found


def assert_refused(tokens: Iterable[str], queries: Any) -> None:
    """None is taken, by cookie or body; every answer is the same to the byte, and costs no query."""
    client, answers = Client(), set()
    with queries(0):
        for token in tokens:
            for answer in (
                post(client, "/api/auth/refresh", Cookie=f"{REFRESH}={token}"),
                post(client, "/api/auth/refresh", {"refresh_token": token}),
            ):
                answers.add((answer.status_code, answer.content))
    assert {status for status, _ in answers} == {401}
    assert len({content for _, content in answers}) == 1


def test_a_token_with_any_byte_flipped_is_refused(holder, django_assert_num_queries):
    whole = raw(holder.cookies[REFRESH].value)
    flipped = []
    for place in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            flipped.append(text(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]))
    assert_refused(flipped, django_assert_num_queries)
    assert refresh(holder).status_code == 200


def test_a_token_that_is_cut_anywhere_is_refused(holder, django_assert_num_queries):
    token = holder.cookies[REFRESH].value
    assert_refused((token[:length] for length in range(1, len(token))), django_assert_num_queries)
    assert_refused((token[length:] for length in range(1, len(token))), django_assert_num_queries)
    assert refresh(holder).status_code == 200


def test_a_token_put_together_of_two_is_refused(holder, another, clock, django_assert_num_queries):
    """Of two people's, and of one session's two generations."""
    stranger = another()
    login(stranger, UserFactory())
    first = holder.cookies[REFRESH].value
    clock.forward(601)
    assert refresh(holder).status_code == 200
    for other in (stranger.cookies[REFRESH].value, holder.cookies[REFRESH].value):
        real = {first, other}
        mixed = {text(b"".join(choice)) for choice in product(*zip(parts(first), parts(other), strict=True))} - real
        assert len(mixed) >= 2
        assert_refused(mixed, django_assert_num_queries)
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()
    assert refresh(holder).status_code == refresh(stranger).status_code == 200


def test_what_was_tampered_with_leaves_no_mark_on_the_account(holder, user):
    """A stranger who only knows how a token looks can neither end a session nor fill the owner's list of events."""
    before = SecurityEvent.objects.count()
    whole = raw(holder.cookies[REFRESH].value)
    for place in range(len(whole)):
        refresh(Client(), text(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]))
    assert SecurityEvent.objects.count() == before
    assert holder.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize("mode", ["cookie", "scoped"])
def test_a_page_with_a_cookie_session_reads_no_token_whatever_it_asks(api, user, settings, clock, mode):
    """What a script that was smuggled into the page would do: HttpOnly cookies must not come back in a body."""
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
        said = answer.content.decode() + str({**answer.headers, "Set-Cookie": ""})
        assert not [token for token in given if token in said], path
        for get in ("me", "sessions", "nothing"):
            assert not [token for token in given if token in api.get(f"/api/auth/{get}").content.decode()], path
    assert len(given) > 4


@pytest.mark.urls("tests.urls")
@pytest.mark.parametrize("door", ["api", "page", "django", "admin", "package"])
def test_whoever_signs_in_on_top_of_a_planted_session_gets_one_of_their_own(another, door, clock):
    """Session fixation: the attacker's cookies are in the victim's browser before the victim signs in."""
    attacker, victim = another(), another()
    evil, user = UserFactory(is_staff=True), UserFactory(is_staff=True)
    attacker.post("/sign-in", {"username": evil.email, "password": PASSWORD})
    planted = {name: cookie.value for name, cookie in attacker.cookies.items()}
    for name, value in planted.items():
        victim.cookies[name] = value
    typed = {"username": user.email, "password": PASSWORD}
    match door:
        case "api":
            login(victim, user)
        case "page":
            victim.post("/sign-in", typed)
        case "django":
            victim.post("/accounts/login/", typed)
        case "admin":
            victim.post("/admin/login/", typed)
        case "package":
            victim.get(f"/probe/sign-in/{user.email}")
    mine = victim.get("/probe/who").json()
    assert mine["pk"] == str(user.pk)
    for _ in range(2):
        theirs = attacker.get("/probe/who").json()
        assert theirs["pk"] in {None, str(evil.pk)}
        assert theirs["sid"] != mine["sid"]
        clock.forward(601)
    for name in (ACCESS, REFRESH):
        assert victim.cookies[name].value != planted[name], name
    thief = another()
    for name, value in planted.items():
        thief.cookies[name] = value
    assert thief.get("/probe/who").json()["pk"] != str(user.pk)
