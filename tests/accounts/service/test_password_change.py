"""Changing the password: all other sessions end immediately, this one continues, and the owner gets a mail."""

import pytest

from accounts.service import passwords
from tests.accounts.steps import NEW_PASSWORD, ask, can_sign_in, events, live, outcome, problem, who
from tests.browsers import ACCESS, SESSION, login, refresh
from tests.factories import PASSWORD, User, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.auth_hash import digest_of
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import feed

pytestmark = pytest.mark.django_db

PATH, ME = "password/change", "/api/auth/me"
RIGHT = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


class TestAChange:
    def test_the_new_password_signs_in_and_the_old_one_does_not(self, signed_in, send, user, another):
        response = send(signed_in, PATH, RIGHT)
        assert (outcome(response), response.content) == ("done", b"")
        assert can_sign_in(another(), user.email, NEW_PASSWORD)
        assert not can_sign_in(another(), user.email)

    def test_all_other_sessions_end_at_once_access_tokens_included(self, signed_in, send, user, clock):
        others = [signed_in_as(user) for _ in range(2)]
        assert [who(other) for other in others] == [200, 200]
        bystander = signed_in_as(UserFactory())
        assert set(send(signed_in, PATH, RIGHT).cookies) <= {SESSION}
        clock.forward(1)
        for other in others:
            assert problem(other.get(ME)) == "401 session_ended"
            assert refresh(other).status_code == 401
        assert who(signed_in) == who(bystander) == 200
        assert live() == 2
        ended = RefreshToken.objects.exclude(revoked_at=None)
        assert set(ended.values_list("revoked_reason", flat=True)) == {RefreshToken.Reason.PASSWORD_CHANGED}
        for _ in range(3):  # The session that changed the password keeps its tokens.
            clock.forward(601)
            assert who(signed_in) == 200
        assert refresh(signed_in).status_code == 200

    def test_in_body_mode_the_other_sessions_end_as_well(self, api, user, another, settings, clock):
        settings.TOKENS = {"MODES": ["cookie", "body"]}
        mine, other = (login(another(), user, mode="body") for _ in range(2))
        as_mine, as_other = ({"Authorization": f"Bearer {answer['access_token']}"} for answer in (mine, other))
        assert outcome(ask(api, PATH, RIGHT, **as_mine)) == "done"
        clock.forward(1)
        assert api.get(ME, headers=as_mine).status_code == 200
        assert problem(api.get(ME, headers=as_other)) == "401 session_ended"
        assert ask(api, "refresh", {"refresh_token": mine["refresh_token"]}).status_code == 200
        assert ask(api, "refresh", {"refresh_token": other["refresh_token"]}).status_code == 401

    @pytest.mark.django_db(transaction=True)
    def test_the_owner_is_told_and_it_is_written_down(self, signed_in, send, user, mailoutbox):
        mailoutbox.clear()
        send(signed_in, PATH, RIGHT)
        assert [message.to for message in mailoutbox] == [[user.email]]
        assert "/alarm?token=" in mailoutbox[0].body
        assert NEW_PASSWORD not in mailoutbox[0].body
        (event,) = events(SecurityEvent.Kind.PASSWORD_CHANGED)
        assert (event.user, event.session_id) == (user, RefreshToken.objects.get().id)

    def test_a_request_that_refreshes_its_tokens_keeps_its_session(self, signed_in, send, clock):
        clock.forward(601)
        response = send(signed_in, PATH, RIGHT)
        assert outcome(response) == "done"
        assert response.cookies[ACCESS].value
        clock.forward(601)
        assert who(signed_in) == 200

    def test_needs_the_password_that_is_current_when_it_is_saved(self, signed_in, user, monkeypatch):
        check = passwords.check_password_rules

        def change_first(password, owner):
            check(password, owner)
            row = User.objects.get(pk=user.pk)
            row.set_password("the password of the first")
            row.save()
            # Another request of the same session keeps the session.
            RefreshToken.objects.update(auth_hash_digest=digest_of(row))

        monkeypatch.setattr(passwords, "check_password_rules", change_first)
        assert outcome(ask(signed_in, PATH, RIGHT)) == "401 invalid_credentials"
        assert User.objects.get().check_password("the password of the first")


class TestARejectedChange:
    @pytest.fixture(autouse=True)
    def _changes_nothing(self, clock, user, another, mailoutbox):
        """Check the password, another session, and that no mail was sent. A change rejected too late would pass."""
        login(another(), user)
        (session,) = RefreshToken.objects.live()
        yield
        assert User.objects.get(pk=user.pk).check_password(PASSWORD)
        assert RefreshToken.objects.live().contains(session)
        assert not events(SecurityEvent.Kind.PASSWORD_CHANGED)
        assert not mailoutbox

    def test_of_a_wrong_current_password(self, signed_in, send, user):
        response = send(signed_in, PATH, RIGHT | {"current_password": "wrong"})
        assert outcome(response) == "401 invalid_credentials"
        assert PASSWORD not in response.content.decode()
        assert events(SecurityEvent.Kind.SIGN_IN_FAILED)[0].user == user

    @pytest.mark.parametrize("missing", RIGHT)
    def test_of_a_missing_or_empty_field(self, signed_in, missing):
        assert problem(ask(signed_in, PATH, RIGHT | {missing: ""})) == f"400 invalid {missing}"
        data = {name: value for name, value in RIGHT.items() if name != missing}
        assert problem(ask(signed_in, PATH, data)) == f"400 invalid {missing}"

    def test_of_an_account_without_a_password(self, signed_in, user):
        User.objects.filter(pk=user.pk).update(password="!nothing")
        assert outcome(ask(signed_in, PATH, RIGHT)) == "401 invalid_credentials"
        User.objects.filter(pk=user.pk).update(password=user.password)

    def test_in_a_session_that_has_ended_though_its_access_token_is_valid(self, signed_in):
        session = RefreshToken.objects.filter(id=signed_in.get(ME).json()["session"]["id"])
        revoke(session, RefreshToken.Reason.ENDED_BY_STAFF)
        feed._revoked.clear()  # As if another process had ended it, and this one had not read the feed since.
        assert outcome(ask(signed_in, PATH, RIGHT)) == "401 session_ended"
