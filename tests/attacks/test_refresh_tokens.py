"""Attacks with the refresh tokens of a session: scripts that ask for tokens, and session fixation.

`tests.tokens.protocol.test_refresh_tokens` changes, cuts and mixes tokens. `tests.tokens.api.test_bad_input` presents
forged ones at the endpoints.
"""

import pytest

from tests.browsers import ACCESS, REFRESH, login, post
from tests.factories import PASSWORD, UserFactory
from tests.tokens.service.holders import Holder
from tokens.conf import BODY, keyring
from tokens.protocol import refresh_tokens

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


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


def test_who_knows_the_servers_key_but_not_the_secret_of_a_session_does_not_end_it(api, user, settings):
    """The MAC of the token is right. The digest in the row is what its secret is compared with."""
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    holder, ring = Holder(user, mode=BODY), keyring()
    forged = refresh_tokens.RefreshToken(holder.id, b"x" * 16, 0)
    text = refresh_tokens.dumps(forged, ring.key_id, ring.mac_keys[ring.key_id])
    assert post(api, "/api/auth/logout", {"refresh_token": text}).status_code == 204
    assert holder.ending == ("", 0)
    assert post(api, "/api/auth/logout", {"refresh_token": holder.token}).status_code == 204
    assert holder.ending != ("", 0)
