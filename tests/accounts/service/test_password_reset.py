"""Resetting the password by a link in a mail: all sessions end. `test_enumeration` tests what the responses show."""

import pytest

from accounts.service import passwords
from tests.accounts import steps
from tests.accounts.steps import NEW_PASSWORD, ask, can_sign_in, events, live, outcome, problem, who
from tests.browsers import refresh
from tests.factories import User, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

PATH = "password/reset"
reset = steps.reset_password


@pytest.fixture
def token(api, user, token_in) -> str:
    """The token in the mail, for which the client spelled the address in upper case. Mail to that one would fail."""
    assert outcome(ask(api, PATH, {"email": user.email.upper()})) == "done"
    return token_in(user.email)


class TestAReset:
    @pytest.mark.django_db(transaction=True)
    def test_sets_a_new_password_and_is_reported_and_recorded(self, api, send, user, token, mailoutbox):
        response = reset(api, token, send=send)
        assert (outcome(response), response.content, len(response.cookies)) == ("done", b"", 0)
        assert [message.to for message in mailoutbox] == [[user.email]] * 2
        assert "was changed" in mailoutbox[1].subject
        (asked,), (changed,) = events(SecurityEvent.Kind.PASSWORD_RESET), events(SecurityEvent.Kind.PASSWORD_CHANGED)
        assert asked.user == changed.user == user
        assert changed.reason == "reset"
        assert can_sign_in(api, user.email, NEW_PASSWORD)
        assert not can_sign_in(api, user.email)

    def test_all_sessions_end_at_once(self, send, user, token_in, clock):
        browsers = [signed_in_as(user) for _ in range(2)]
        bystander = signed_in_as(UserFactory())
        clock.forward(10)
        assert outcome(send(browsers[0], PATH, {"email": user.email})) == "done"
        assert outcome(reset(browsers[0], token_in(user.email), send=send)) == "done", "Its own session ends as well."
        clock.forward(1)
        for browser in browsers:
            assert problem(browser.get("/api/auth/me")) == "401 session_ended"
            assert refresh(browser).status_code == 401
        assert who(bystander) == 200
        ended = RefreshToken.objects.exclude(revoked_at=None)
        assert set(ended.values_list("revoked_reason", flat=True)) == {RefreshToken.Reason.PASSWORD_CHANGED}

    def test_after_a_bad_password_the_link_stays_valid(self, api, send, token):
        assert outcome(reset(api, token, "short", send)) == "400 invalid password"
        assert outcome(reset(api, token, send=send)) == "done"

    @pytest.mark.parametrize("missing", ["token", "password"])
    def test_a_missing_or_empty_field_is_named(self, api, token, missing):
        data = {"token": token, "password": NEW_PASSWORD}
        assert outcome(ask(api, "password/reset/confirm", data | {missing: ""})) == f"400 invalid {missing}"
        del data[missing]
        assert outcome(ask(api, "password/reset/confirm", data)) == f"400 invalid {missing}"

    def test_of_two_parallel_requests_with_one_link_the_later_is_rejected(self, api, token, monkeypatch, another):
        check = passwords.check_password_rules

        def reset_first(password, owner):
            monkeypatch.setattr(passwords, "check_password_rules", check)
            assert outcome(reset(another(), token, "the password of the first")) == "done"
            check(password, owner)

        monkeypatch.setattr(passwords, "check_password_rules", reset_first)
        assert outcome(reset(api, token)) == "400 link_used"
        assert User.objects.get().check_password("the password of the first")
        assert live() == 0
