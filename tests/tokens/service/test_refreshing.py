"""Refreshing a session: what each decision writes, which tokens are rejected, and what happens when requests race."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher, identify_hasher
from django.db import OperationalError, transaction
from django.db.models import F

from tests.factories import PASSWORD, UserFactory
from tests.tokens.service.holders import (
    ELSEWHERE,
    GRACE,
    HOME,
    STILL_TIME,
    Holder,
    change_password,
    columns,
    deactivate_in_sql,
)
from tests.tokens.service.statements import before_the_update, failing
from tokens.conf import keyring
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import instant
from tokens.protocol.rotation import Decision, State
from tokens.service import refreshing
from tokens.service.auth_hash import digest_of
from tokens.service.client import Client
from tokens.service.refreshing import Refusal, refresh

pytestmark = pytest.mark.django_db

HOUR, DAY = 3600, 86400
ROTATE, REPEAT, RECOVER, CATCH_UP = Decision.ROTATE, Decision.REPEAT, Decision.RECOVER, Decision.CATCH_UP
FIRST, SECOND = {"generation": 1}, {"generation": 2}
ACKNOWLEDGED = {**FIRST, "acknowledged": True}
RECOVERED = {**FIRST, "recovered": 1, "recoveries": 1}
_Kind = SecurityEvent.Kind
_Reason = RefreshToken.Reason


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session at generation 0, which has just been opened. Its first rotation differs from all later ones."""
    return Holder(user)


@pytest.fixture
def rotated(holder: Holder) -> Holder:
    """A session at generation 1, which has just begun. ``first`` is the previous token.

    Without it, a test would not notice that the previous token is treated like the current one.
    """
    holder.refresh()
    return holder


def loaded(token: str | None) -> refresh_tokens.RefreshToken:
    """Return the content of a refresh token."""
    return refresh_tokens.loads(token or "", keyring().mac_keys)


def forged(holder: Holder, **changes: Any) -> str:
    """Return the session's token with changed content, authenticated with the server's own key."""
    ring = keyring()
    token = replace(loaded(holder.token), **changes)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id], http=True)


def state_of(holder: Holder) -> State:
    row = holder.row
    return row.state(row.since)


def update_password(user: Any) -> None:
    get_user_model()._base_manager.filter(pk=user.pk).update(password="!")


class TestADecision:
    """How each of the decisions in `tokens.protocol.rotation` is carried out."""

    # The row's state; the generation of the token that is presented; how many seconds later; the decision; the state
    # after it, if it changes; and the generation of the refresh token that is issued, if any.
    GRANTED = {
        "a rotation of generation 0, without a still time": ({}, 0, 0, ROTATE, FIRST, 1),
        "a rotation": (FIRST, 1, STILL_TIME, ROTATE, SECOND, 2),
        "a rotation, which clears the acknowledgement": (ACKNOWLEDGED, 1, STILL_TIME, ROTATE, SECOND, 2),
        "a rotation after a recovery": (RECOVERED, 1, STILL_TIME, ROTATE, {**SECOND, "recoveries": 1}, 2),
        "a rotation after a generation without one": ({**FIRST, "recoveries": 8}, 1, STILL_TIME, ROTATE, SECOND, 2),
        "the current token within the still time": (FIRST, 1, STILL_TIME - 2, REPEAT, None, None),
        "the previous token within the grace period": (FIRST, 0, GRACE - 2, REPEAT, None, 1),
        "the previous token after the grace period": (FIRST, 0, HOUR, RECOVER, RECOVERED, 1),
        "the last recovery": ({**RECOVERED, "recovered": 31}, 0, GRACE, RECOVER, {**RECOVERED, "recovered": 32}, 1),
        "a token newer than the row": ({}, 1, 5, CATCH_UP, FIRST, 1),
        "a much newer one": ({**ACKNOWLEDGED, **RECOVERED}, 4, 5, CATCH_UP, {"generation": 4, "recoveries": 1}, 4),
    }

    @pytest.mark.parametrize(("state", "asked", "later", "decision", "after", "given"), GRANTED.values(), ids=GRANTED)
    def test_is_carried_out(self, holder, clock, state, asked, later, decision, after, given):
        holder.put_back(**state)
        before = columns()
        clock.forward(later)
        answer = holder.granted(forged(holder, generation=asked))
        assert answer.decision is decision
        assert answer.refresh_token == (None if given is None else forged(holder, generation=given))
        access, generation = answer.access, (after or state)["generation"]
        assert (access.generation, access.issued_at) == (generation, int(clock.now.timestamp()))
        assert (access.session_id, access.subject) == (holder.id, str(holder.user.pk))
        if after is None:
            assert columns() == before
        else:
            assert state_of(holder) == State(since=clock.now, **after)
            assert holder.row.idle_expires_at == clock.now + timedelta(hours=12)
        assert holder.ending == ("", 0)
        assert holder.events(_Kind.RECOVERED) == (decision is RECOVER)

    # The settings, the row's state, how many seconds later, and the reason why the first token ends the session.
    ENDS = {
        "the previous token of an acknowledged generation": ({}, ACKNOWLEDGED, GRACE, "REUSE"),
        "an older token": ({}, SECOND, 0, "REUSE"),
        "one recovery of a generation too many": ({}, {**RECOVERED, "recovered": 32}, GRACE, "RECOVERIES_EXHAUSTED"),
        "one recovered generation too many": ({}, {**FIRST, "recoveries": 8}, GRACE, "RECOVERIES_EXHAUSTED"),
        "in strict mode, the previous token": ({"REUSE_GRACE": 0}, FIRST, 0, "REUSE"),
        "in strict mode, the previous token an hour later": ({"REUSE_GRACE": 0}, FIRST, HOUR, "REUSE"),
    }

    @pytest.mark.parametrize(("tokens", "state", "later", "reason"), ENDS.values(), ids=ENDS)
    def test_ends_this_session_but_no_other_of_the_user(self, holder, clock, settings, tokens, state, later, reason):
        settings.TOKENS = tokens
        other = Holder(holder.user)
        holder.put_back(**state)
        clock.forward(later)
        assert holder.is_refused(holder.first)
        assert holder.row.revoked_at == clock.now
        assert holder.ending == (_Reason[reason], 1)
        kinds = "REUSE_DETECTED", "RECOVERIES_EXHAUSTED"
        assert [holder.events(_Kind[kind]) for kind in kinds] == [kind.startswith(reason) for kind in kinds]
        assert holder.is_refused(forged(holder, generation=state["generation"]))
        assert other.row.revoked_at is None
        other.refresh()

    def test_to_rotate_stores_the_address_and_the_user_agent(self, rotated, clock):
        clock.forward(STILL_TIME)
        rotated.refresh(client=ELSEWHERE)
        row = rotated.row
        assert (row.ip, bytes(row.user_agent_digest)) == (ELSEWHERE.ip, ELSEWHERE.user_agent_digest)
        assert rotated.events(_Kind.ELSEWHERE) == 0

    def test_about_an_ended_session_is_to_reject_the_token_and_change_nothing(self, rotated, clock):
        rotated.end()
        before = columns()
        clock.forward(GRACE)
        for token in (rotated.token, rotated.first):
            assert rotated.present(token) == Refusal(definite=True)
        assert columns() == before
        assert rotated.revocations() == 1
        assert rotated.events(_Kind.REUSE_DETECTED) == 0

    def test_to_end_the_session_is_committed_before_the_token_is_rejected(self, transactional_db, clock):
        holder = Holder(UserFactory())
        holder.put_back(generation=2)
        holder.present()
        with transaction.atomic():
            transaction.set_rollback(True)
        assert holder.row.revoked_reason == _Reason.REUSE

    def test_to_catch_up_ends_the_superseded_session_again(self, user, clock):
        earlier = Holder(user)
        clock.forward(1)
        later = earlier.sign_in_again()
        lost = later.granted().refresh_token
        earlier.put_back(revoked_at=None, revoked_reason="")
        later.put_back(generation=0)
        later.refresh(lost)
        assert earlier.row.revoked_reason == _Reason.SUPERSEDED


def test_recoveries_of_eight_generations_in_a_row_are_granted_and_the_ninth_ends_the_session(holder, clock):
    for count in range(1, 10):
        clock.forward(STILL_TIME)
        holder.present()
        clock.forward(GRACE)
        if count < 9:
            holder.refresh()
            assert holder.row.recoveries == count
    assert holder.is_refused()
    assert holder.ending == (_Reason.RECOVERIES_EXHAUSTED, 1)
    assert holder.events(_Kind.RECOVERED) == 8


class TestARepeatedAnswerToAnotherClient:
    CLIENTS = {
        "another network and browser": (ELSEWHERE, 1),
        "another network": (Client("198.51.100.7", "Firefox"), 1),
        "another browser": (Client("192.0.2.7", "Chrome"), 1),
        "another address of the same network": (Client("192.0.2.200", "Firefox"), 0),
    }

    @pytest.mark.parametrize("later", [0, GRACE], ids=["within the grace period", "as a recovery"])
    @pytest.mark.parametrize(("client", "events"), CLIENTS.values(), ids=CLIENTS)
    def test_is_given_and_is_a_security_event_if_the_network_or_the_browser_differs(
        self, rotated, clock, later, client, events
    ):
        clock.forward(later)
        assert rotated.granted(rotated.first, client).refresh_token == rotated.token
        found = SecurityEvent.objects.filter(kind=_Kind.ELSEWHERE).values_list("session_id", "user_id", "ip")
        assert list(found) == [(rotated.id, rotated.user.pk, client.ip)] * events

    def test_is_a_security_event_at_most_once_an_hour(self, rotated, clock):
        for _ in range(5):
            rotated.present(rotated.first, ELSEWHERE)
            rotated.present(rotated.token, ELSEWHERE)
        assert rotated.events(_Kind.ELSEWHERE) == 1
        clock.forward(3599)
        rotated.present(rotated.first, ELSEWHERE)
        assert (rotated.row.recovered, rotated.events(_Kind.ELSEWHERE)) == (1, 1)
        clock.forward(1)
        rotated.present(rotated.first, ELSEWHERE)
        assert rotated.events(_Kind.ELSEWHERE) == 2


class TestSigningInAgainOnADevice:
    @pytest.fixture
    def twice(self, user: Any, clock: Any) -> tuple[Holder, Holder]:
        """Two sessions of one user in one browser, the earlier first.

        They begin at different times, because a session does not supersede one that began at the same instant.
        """
        earlier = Holder(user)
        clock.forward(1)
        return earlier, earlier.sign_in_again()

    def test_leaves_the_previous_session_live(self, twice):
        earlier, later = twice
        assert earlier.row.device_id == later.row.device_id
        assert later.issued.decision is None
        earlier.refresh()
        assert later.row.revoked_at is None

    def test_ends_the_previous_session_of_the_device_at_the_first_refresh(self, twice):
        earlier, later = twice
        on_another_device = Holder(later.user)
        later.refresh()
        assert earlier.ending == (_Reason.SUPERSEDED, 1)
        assert earlier.events(_Kind.REVOKED) == 1
        assert earlier.is_refused()
        assert later.row.revoked_at is None
        assert on_another_device.row.revoked_at is None

    def test_ends_the_previous_session_at_a_retry_if_the_database_failed_at_any_statement(
        self, transactional_db, clock
    ):
        sent, failed = -1, ["not tried yet"]
        while failed:
            sent += 1
            earlier = Holder(UserFactory())
            clock.forward(1)
            later = earlier.sign_in_again()
            with suppress(OperationalError), failing(after=sent) as failed:
                later.present()
            later.refresh(later.first)
            assert later.row.generation == 1
            assert earlier.row.revoked_reason == _Reason.SUPERSEDED
        assert sent >= 3


class TestAPassword:
    CHANGES = {
        "changed by the model": (change_password, _Reason.PASSWORD_CHANGED),
        "changed by a raw update": (update_password, _Reason.PASSWORD_CHANGED),
        "of a user who was deactivated by raw SQL": (deactivate_in_sql, _Reason.USER_DISABLED),
    }

    @pytest.mark.parametrize("age", [0, STILL_TIME], ids=["of a generation to repeat", "of a generation to rotate"])
    @pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
    def test_that_was_changed_ends_the_session_at_its_next_refresh(self, rotated, clock, change, reason, age):
        clock.forward(age)
        change(rotated.user)
        assert rotated.present() == Refusal()
        assert rotated.ending == (reason, 1)

    def test_that_was_changed_ends_no_other_users_session_and_none_that_begins_later(self, rotated):
        other = Holder(UserFactory())
        change_password(rotated.user)
        other.refresh()
        assert other.row.revoked_at is None
        Holder(rotated.user).refresh()

    @pytest.fixture
    def outdated(self, user: Any, clock: Any) -> list[Holder]:
        """Sessions of a user whose password hash Django will upgrade at the next sign-in.

        Without them, a test would not notice that an upgraded hash is mistaken for a new password.
        """
        user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, iterations=1)
        get_user_model()._base_manager.filter(pk=user.pk).update(password=user.password)
        return [Holder(user) for _ in range(3)]

    @pytest.fixture
    def sign_in(self, outdated: list[Holder], rf: Any) -> Callable[..., Any]:
        """Return a function that checks the user's password, as a sign-in does. The hash is upgraded by that."""
        return lambda password=PASSWORD: authenticate(rf.post("/"), username=outdated[0].user.email, password=password)

    def test_whose_hash_is_upgraded_at_sign_in_keeps_the_live_sessions_and_restores_no_ended_one(
        self, outdated, sign_in
    ):
        ended, *live = outdated
        ended.end()
        before = ended.row.auth_hash_digest
        user = sign_in()
        assert identify_hasher(user.password).algorithm == "argon2"
        for holder in live:
            holder.refresh()
            assert bytes(holder.row.auth_hash_digest) == digest_of(user)
            assert holder.row.revoked_at is None
        assert ended.row.auth_hash_digest == before
        assert ended.is_refused()

    def test_that_is_wrong_upgrades_nothing(self, outdated, sign_in):
        assert sign_in("wrong") is None
        for holder in outdated:
            holder.refresh()

    def test_whose_hash_is_upgraded_during_a_refresh_keeps_the_session(self, outdated, sign_in, clock):
        holder = outdated[0]
        with before_the_update(sign_in):
            holder.refresh()
        assert holder.row.generation == 1
        clock.forward(STILL_TIME)
        holder.refresh()
        assert holder.row.revoked_at is None

    def test_that_is_changed_during_a_refresh_ends_the_session(self, holder):
        with before_the_update(lambda: change_password(holder.user)):
            holder.present()
        assert holder.is_refused()


class TestARotatedSecretKey:
    @pytest.fixture
    def replaced(self, rotated: Holder, settings: Any) -> Holder:
        """The session after ``SECRET_KEY`` was replaced, with the old key as a fallback.

        Without it, a test would not notice that a new secret key ends all sessions.
        """
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another secret for tests that is long enough to be taken for a real one"
        return rotated

    def test_keeps_the_session_stamps_it_again_and_authenticates_new_tokens_with_the_new_key(
        self, replaced, clock, settings
    ):
        old_token, old_stamp = replaced.token, bytes(replaced.row.auth_hash_digest)
        clock.forward(STILL_TIME)
        replaced.refresh()
        assert bytes(replaced.row.auth_hash_digest) != old_stamp
        settings.SECRET_KEY_FALLBACKS = []
        assert replaced.present(old_token) == Refusal(definite=False)
        clock.forward(STILL_TIME)
        replaced.refresh()
        assert (replaced.row.generation, replaced.row.revoked_at) == (3, None)

    def test_repeats_and_recovers_tokens_of_the_old_key(self, replaced, clock):
        assert loaded(replaced.granted(replaced.first).refresh_token).generation == 1
        clock.forward(GRACE)
        assert not replaced.is_refused(replaced.first)

    def test_without_a_fallback_rejects_the_token_but_neither_clears_cookies_nor_ends_the_session(
        self, replaced, settings, django_assert_num_queries
    ):
        """During a rolling deployment, another process may still have the old key."""
        [old] = settings.SECRET_KEY_FALLBACKS
        settings.SECRET_KEY_FALLBACKS = []
        with django_assert_num_queries(0):
            assert replaced.present() == Refusal(definite=False)
        settings.SECRET_KEY = old
        assert not replaced.is_refused()

    def test_whose_fallback_is_removed_before_the_session_is_stamped_again_ends_it(self, replaced, clock, settings):
        clock.forward(1)
        answer = replaced.granted(replaced.first)  # A repeat writes nothing.
        settings.SECRET_KEY_FALLBACKS = []
        assert replaced.is_refused(answer.refresh_token)
        assert replaced.row.revoked_reason == _Reason.PASSWORD_CHANGED


class TestIsRejected:
    """All of these get the same answer, and none of them is treated as theft."""

    FORGED = {
        **{f"a wrong secret, generation {n}": {"secret": b"f" * 16, "generation": n} for n in (0, 1, 2, 2**32 - 1)},
        "an unknown session": {"session_id": UUID(int=7)},
    }

    @pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED)
    def test_a_token_forged_with_a_key_of_ours(self, rotated, changes):
        """An attacker with a key does not have the secret of the session, so they must not be able to end it either."""
        before = columns()
        assert rotated.present(forged(rotated, **changes)) == Refusal()
        assert columns() == before
        assert rotated.events(_Kind.REUSE_DETECTED) == 0

    def test_a_token_forged_with_the_secret_of_another_session(self, rotated):
        other = Holder(rotated.user)
        assert rotated.present(forged(rotated, secret=loaded(other.token).secret)) == Refusal()
        assert not rotated.is_refused()

    def test_a_token_that_is_sent_in_another_way_than_its_storage_mode_says(self, rotated):
        in_body = Holder(rotated.user, mode="body")
        assert refresh(rotated.token, ("body",), HOME) == Refusal()
        assert refresh(in_body.token, ("cookie",), HOME) == Refusal()
        assert (rotated.row.revoked_at, in_body.row.revoked_at) == (None, None)


REMEMBERED = ["not remembered", "remembered"]


class TestASessionExpires:
    @pytest.mark.parametrize(("remember", "idle"), [(False, 12 * HOUR), (True, 14 * DAY)], ids=REMEMBERED)
    def test_after_twelve_hours_without_use_or_fourteen_days_with_remember_me(self, user, clock, remember, idle):
        holder = Holder(user, remember=remember)
        clock.forward(idle - 1)
        holder.refresh()
        clock.forward(idle)
        assert holder.is_refused()
        assert holder.is_refused(holder.first)
        assert (holder.row.revoked_at, holder.revocations()) == (None, 0), "it was not revoked"
        assert holder.events(_Kind.REUSE_DETECTED) == 0

    @pytest.mark.parametrize(("remember", "step"), [(False, 11 * HOUR), (True, DAY)], ids=REMEMBERED)
    def test_after_thirty_days_however_much_it_is_used(self, user, clock, remember, step):
        holder, opened = Holder(user, remember=remember), clock.now
        while clock.now + timedelta(seconds=step) < opened + timedelta(days=30):
            clock.forward(step)
            holder.refresh()
        clock.forward((opened + timedelta(days=30) - clock.now).total_seconds())
        assert holder.is_refused()
        assert holder.row.revoked_at is None

    def test_and_its_access_tokens_expire_with_it(self, user, clock):
        holder = Holder(user, remember=True)
        holder.put_back(expires_at=clock.now + timedelta(minutes=1))
        assert instant(holder.refresh().access.expires_at) == holder.row.expires_at

    def test_as_the_settings_say(self, user, clock, settings):
        settings.TOKENS = {"BROWSER_SESSION_LIFETIME": 1200, "ABSOLUTE_LIFETIME": 2000}
        holder = Holder(user)
        clock.forward(1100)
        holder.refresh()
        clock.forward(899)
        holder.refresh()
        clock.forward(1)
        assert holder.is_refused()


class TestARefreshThatLosesARace:
    """Another request changes the row between this refresh's read and its update."""

    def test_against_the_same_token_gives_the_same_answer(self, holder):
        first: list[Any] = []
        with before_the_update(lambda: first.append(holder.granted())):
            second = holder.refresh()
        assert second.refresh_token == first[0].refresh_token
        assert holder.row.generation == 1

    def test_against_the_end_of_the_session_is_rejected(self, holder):
        with before_the_update(holder.end):
            assert holder.is_refused()
        assert holder.row.generation == 0
        assert holder.ending == (_Reason.SIGNED_OUT, 1)

    def test_against_a_recovery_repeats(self, rotated, clock):
        clock.forward(STILL_TIME)
        with before_the_update(lambda: rotated.present(rotated.first)):
            rotated.refresh(rotated.first)
        assert (rotated.row.recovered, rotated.events(_Kind.RECOVERED)) == (1, 1)

    def test_against_an_acknowledgement_does_not_recover(self, rotated, clock):
        clock.forward(GRACE)
        with before_the_update(lambda: rotated.put_back(acknowledged=True)):
            assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_reason == _Reason.REUSE

    def test_again_and_again_raises_an_error_and_changes_nothing(self, holder, monkeypatch):
        monkeypatch.setattr(refreshing, "ATTEMPTS", 3)
        with (
            before_the_update(lambda: holder.put_back(since=F("since") - timedelta(seconds=1)), times=3),
            pytest.raises(OperationalError),
        ):
            holder.present()
        assert holder.row.generation == 0
        assert not holder.is_refused()
