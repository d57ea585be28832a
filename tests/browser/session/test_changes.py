"""An app changes the account through the session client, which adds the refresh token in mode ``body``."""

import pytest

from tests.browser.session.test_strangers import EVIL
from tokens.protocol.refresh_tokens import PREFIX

only_in_body = pytest.mark.parametrize("mode", ["body"], indirect=True)
ELSEWHERE = [
    *("https://{evil}/api/auth/me", "//{evil}/api/auth/me", "/api/orders", "../orders", "%2e%2e/orders"),
    *("sessions?to=elsewhere", ""),
]
_SEND = """([method, path, data]) => session.send(method, path, data).then(
    (answer) => ["done", answer === undefined ? null : JSON.stringify(answer)],
    (error) => [error.code, error.status],
)"""


def send(tab, method, path, data=None):
    return tab.page.evaluate(_SEND, [method, path, data])


def test_a_change_is_accepted_also_when_the_token_has_expired(signed_in, world):
    world.forward(601)
    assert send(signed_in, "POST", "email/change", {"email": "new@example.org"})[0] == "done"
    assert send(signed_in, "DELETE", "sessions") == ["done", None]
    assert signed_in.heard[-1][0] == "signin"


def test_who_deletes_the_account_is_signed_out_in_every_tab(signed_in, new_tab, world, person):
    other = new_tab()
    assert other.restore() == person.email
    if world.binds:  # The session has no refresh token, which would prove that it is the user who asks.
        assert send(signed_in, "DELETE", "me") == ["refresh_token_required", 403]
    password = {"current_password": person.password} if world.binds else None
    assert send(signed_in, "DELETE", "me", password) == ["done", None]
    other.wait_for("session.user === null")
    assert (signed_in.user, signed_in.heard[-1]) == (None, ["signout", None])
    assert world.auth.sessions(person) == []


def test_a_wrong_password_is_reported_and_changes_nothing(signed_in, world, person):
    given = {"current_password": "not this one"}
    assert send(signed_in, "DELETE", "me", given) == ["invalid_credentials", 401]
    assert signed_in.restore() == person.email


@only_in_body
def test_without_the_client_a_page_has_only_the_access_token(signed_in, world, person):
    ask = "session.fetch('/api/auth/me', { method: 'DELETE' }).then((response) => response.json())"
    assert signed_in.page.evaluate(ask)["code"] == "refresh_token_required"
    assert signed_in.restore() == person.email


@only_in_body
def test_the_refresh_token_is_sent_to_the_api_only(signed_in, world):
    evil = world.app.origin.replace("app.test", EVIL).removeprefix("https://")
    for path in ELSEWHERE:
        assert send(signed_in, "POST", path.format(evil=evil))[0] == "invalid_path", path
    assert world.answered() == []


@only_in_body
def test_a_page_does_not_get_the_tokens_of_an_answer(signed_in, world, person):
    for path in ("refresh", "refresh/"):
        world.forward(601)
        what, answer = send(signed_in, "POST", path)
        assert (what, person.email in answer, PREFIX in answer, "eyJ" in answer) == ("done", True, False, False)
        assert signed_in.fetch() == [200]
