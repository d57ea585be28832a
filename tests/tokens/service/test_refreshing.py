"""Refreshing on the rows: what each decision leaves behind, who is refused, and what no interleaving may do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher, identify_hasher, make_password
from django.db import OperationalError, connection, transaction
from django.db.models import F

from tests.factories import PASSWORD, UserFactory
from tests.tokens.service.holders import GRACE, HOME, STILL_TIME, Holder
from tokens import refresh_tokens
from tokens.access_tokens import instant
from tokens.keys import keyring
from tokens.models import RefreshToken, SecurityEvent
from tokens.rotation import Decision, State
from tokens.service import ending, refreshing
from tokens.service.client import Client
from tokens.service.refreshing import Refusal, refresh
from tokens.service.stamps import restamp, stamp_of

pytestmark = pytest.mark.django_db

ELSEWHERE = Client("198.51.100.7", "Chrome")
_Kind = SecurityEvent.Kind
_Reason = RefreshToken.Reason


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session just opened, at generation 0."""
    return Holder(user)


@pytest.fixture
def rotated(holder: Holder, clock: Any) -> Holder:
    """A session at generation 1, begun just now; ``first`` is the token of the generation before."""
    holder.refresh()
    return holder


@contextmanager
def before_the_update(action: Callable[[], Any], times: int = 1, where: str = 'UPDATE "') -> Iterator[None]:
    """Let somebody else be faster: ``action`` happens before a statement that has ``where`` in it."""
    left, acting = times, False

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left, acting
        if where in sql and left and not acting:
            left, acting = left - 1, True
            action()
            acting = False
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


def generation_of(token: str) -> int:
    return refresh_tokens.loads(token, keyring().mac_keys).generation


def state_of(holder: Holder) -> State:
    row = holder.row
    return row.state(row.since)


class TestADecisionIsCarriedOut:
    def test_a_rotation_begins_the_next_generation(self, rotated, clock):
        clock.forward(STILL_TIME)
        answer = rotated.refresh()
        assert state_of(rotated) == State(generation=2, since=clock.now)
        assert answer.refresh_token is not None
        assert generation_of(answer.refresh_token) == 2
        assert answer.access.generation == 2
        assert answer.access.issued_at == int(clock.now.timestamp())
        assert answer.access.session_id == rotated.id
        assert answer.access.subject == str(rotated.user.pk)
        assert rotated.revocations() == 0

    def test_a_grant_says_what_was_decided(self, holder, clock):
        assert holder.grant.decision is None
        assert holder.refresh().decision is Decision.ROTATE
        assert holder.refresh(holder.first).decision is Decision.REPEAT
        clock.forward(GRACE)
        assert holder.refresh(holder.first).decision is Decision.RECOVER
        holder.put_back(generation=0)
        assert holder.refresh().decision is Decision.CATCH_UP

    def test_a_rotation_forgets_that_the_generation_before_was_acknowledged(self, rotated, clock):
        rotated.put_back(acknowledged=True)
        clock.forward(STILL_TIME)
        rotated.refresh()
        assert not rotated.row.acknowledged

    def test_a_rotation_notes_from_where_it_was_asked_for(self, rotated, clock):
        clock.forward(STILL_TIME)
        rotated.refresh(client=ELSEWHERE)
        assert rotated.row.ip == ELSEWHERE.ip
        assert bytes(rotated.row.user_agent_digest) == ELSEWHERE.user_agent_digest
        assert rotated.events(_Kind.ELSEWHERE) == 0

    def test_the_token_of_a_generation_that_has_only_just_begun_brings_an_access_token_alone(self, rotated, clock):
        before = RefreshToken.objects.values().get()
        clock.forward(STILL_TIME - 2)
        answer = rotated.refresh()
        assert answer.refresh_token is None
        assert answer.access.generation == 1
        assert answer.access.issued_at == int(clock.now.timestamp())
        assert RefreshToken.objects.values().get() == before

    def test_the_first_generation_has_no_still_time(self, holder):
        assert holder.refresh().refresh_token is not None
        assert holder.row.generation == 1

    def test_the_token_before_within_the_grace_brings_the_same_successor(self, rotated, clock):
        before = RefreshToken.objects.values().get()
        clock.forward(GRACE - 2)
        answer = rotated.present(rotated.first)
        assert not isinstance(answer, Refusal)
        assert answer.refresh_token == rotated.token
        assert answer.access.generation == 1
        assert RefreshToken.objects.values().get() == before

    def test_the_token_before_after_the_grace_recovers_the_same_successor(self, rotated, clock):
        clock.forward(3600)
        answer = rotated.present(rotated.first)
        assert not isinstance(answer, Refusal)
        assert answer.refresh_token == rotated.token
        assert state_of(rotated) == State(generation=1, since=clock.now, recovered=1, recoveries=1)
        assert rotated.events(_Kind.RECOVERED) == 1
        assert rotated.row.revoked_at is None

    def test_the_token_before_is_reuse_once_the_generation_is_acknowledged(self, rotated, clock):
        rotated.put_back(acknowledged=True)
        clock.forward(GRACE)
        assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_at == clock.now
        assert rotated.row.revoked_reason == _Reason.REUSE
        assert rotated.events(_Kind.REUSE_DETECTED) == 1
        assert rotated.revocations() == 1
        assert rotated.is_refused()

    def test_an_older_token_is_reuse_whenever_it_comes(self, rotated, clock):
        clock.forward(STILL_TIME)
        rotated.refresh()
        assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_reason == _Reason.REUSE
        assert rotated.events(_Kind.REUSE_DETECTED) == 1

    def test_reuse_ends_this_session_and_not_the_users_others(self, rotated, clock):
        other = Holder(rotated.user)
        clock.forward(STILL_TIME)
        rotated.refresh()
        rotated.present(rotated.first)
        assert other.row.revoked_at is None
        other.refresh()

    def test_an_ended_session_is_refused_and_its_row_left_alone(self, rotated, clock):
        rotated.end()
        before = RefreshToken.objects.values().get()
        clock.forward(GRACE)
        for token in (rotated.token, rotated.first):
            assert rotated.present(token) == Refusal(definite=True)
        assert RefreshToken.objects.values().get() == before
        assert rotated.revocations() == 1
        assert rotated.events(_Kind.REUSE_DETECTED) == 0

    def test_the_end_of_a_session_is_committed_when_it_is_refused(self, transactional_db, clock):
        holder = Holder(UserFactory())
        for _ in range(2):
            holder.refresh()
            clock.forward(STILL_TIME)
        holder.present(holder.first)
        with transaction.atomic():
            transaction.set_rollback(True)
        assert holder.row.revoked_reason == _Reason.REUSE


class TestADatabaseThatForgotItsLastCommits:
    def test_catches_up_with_the_token_that_it_has_issued(self, rotated, clock):
        rotated.put_back(generation=0, since=clock.now - timedelta(minutes=1))
        clock.forward(5)
        answer = rotated.refresh()
        assert state_of(rotated) == State(generation=1, since=clock.now)
        assert answer.refresh_token == rotated.token
        assert answer.access.generation == 1

    def test_catches_up_over_several_generations(self, holder, clock):
        for _ in range(4):
            holder.refresh()
            clock.forward(STILL_TIME)
        holder.put_back(generation=1, acknowledged=True, recovered=2, recoveries=3)
        holder.refresh()
        assert state_of(holder) == State(generation=4, since=clock.now, recoveries=3)
        clock.forward(STILL_TIME)
        assert generation_of(holder.refresh().refresh_token or "") == 5

    def test_takes_the_token_before_for_a_parallel_request_afterwards(self, rotated, clock):
        rotated.put_back(generation=0)
        rotated.refresh()
        answer = rotated.present(rotated.first)
        assert not isinstance(answer, Refusal)
        assert answer.refresh_token == rotated.token

    def test_and_the_rotation_with_them_gives_the_lost_successor_again(self, rotated, clock):
        """The answer was lost too, and the client comes with what it had."""
        rotated.put_back(generation=0)
        answer = rotated.present(rotated.first)
        assert not isinstance(answer, Refusal)
        assert answer.refresh_token == rotated.token

    def test_ends_what_the_session_supersedes(self, user, clock):
        earlier = Holder(user)
        clock.forward(1)
        later = Holder(user, replace(HOME, device_token=earlier.grant.device_token))
        lost = later.present()
        assert not isinstance(lost, Refusal)
        RefreshToken.objects.filter(id=earlier.id).update(revoked_at=None, revoked_reason="")
        later.put_back(generation=0)
        later.refresh(lost.refresh_token)
        assert earlier.row.revoked_reason == _Reason.SUPERSEDED


class TestRecoveries:
    def _lose_and_recover(self, holder: Holder, clock: Any) -> Any:
        """The answer to a rotation is lost; the client comes again after the grace. Its second answer arrives."""
        clock.forward(STILL_TIME)
        holder.present()
        clock.forward(GRACE)
        answer = holder.present()
        if not isinstance(answer, Refusal):
            holder.token = answer.refresh_token or holder.token
        return answer

    def test_of_eight_generations_in_a_row_are_granted_and_the_ninth_ends_the_session(self, holder, clock):
        for count in range(1, 9):
            assert not isinstance(self._lose_and_recover(holder, clock), Refusal)
            assert holder.row.recoveries == count
        assert isinstance(self._lose_and_recover(holder, clock), Refusal)
        assert holder.row.revoked_reason == _Reason.RECOVERIES_EXHAUSTED
        assert holder.events(_Kind.RECOVERIES_EXHAUSTED) == 1
        assert holder.events(_Kind.REUSE_DETECTED) == 0
        assert holder.events(_Kind.RECOVERED) == 8
        assert holder.revocations() == 1

    def test_are_counted_anew_after_a_generation_that_needed_none(self, holder, clock):
        for _ in range(8):
            self._lose_and_recover(holder, clock)
        for _ in range(2):
            clock.forward(STILL_TIME)
            holder.refresh()
        assert holder.row.recoveries == 0
        for _ in range(8):
            assert not isinstance(self._lose_and_recover(holder, clock), Refusal)

    def test_of_one_generation_are_granted_thirty_two_times(self, rotated, clock):
        for count in range(1, 33):
            clock.forward(GRACE)
            assert not rotated.is_refused(rotated.first)
            assert (rotated.row.recovered, rotated.row.recoveries) == (count, 1)
        clock.forward(GRACE)
        assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_reason == _Reason.RECOVERIES_EXHAUSTED

    def test_are_bounded_by_the_settings(self, holder, clock, settings):
        settings.TOKENS = {"MAX_RECOVERIES": 1}
        assert not isinstance(self._lose_and_recover(holder, clock), Refusal)
        assert isinstance(self._lose_and_recover(holder, clock), Refusal)

    def test_begin_the_grace_and_the_still_time_again(self, rotated, clock):
        clock.forward(STILL_TIME)
        rotated.present(rotated.first)
        clock.forward(GRACE - 2)
        assert rotated.refresh().refresh_token is None
        rotated.present(rotated.first)
        assert rotated.row.recovered == 1

    def test_keep_the_session_from_idling_away(self, rotated, clock):
        clock.forward(3600)
        rotated.present(rotated.first)
        assert rotated.row.idle_expires_at == clock.now + timedelta(hours=12)


class TestStrict:
    """One-time use to the letter."""

    @pytest.fixture(autouse=True)
    def _strict(self, settings: Any) -> None:
        settings.TOKENS = {"REUSE_GRACE": 0}

    def test_a_token_used_a_second_time_ends_the_session(self, rotated):
        assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_reason == _Reason.REUSE

    def test_there_is_no_still_time(self, rotated):
        assert rotated.refresh().refresh_token is not None
        assert rotated.row.generation == 2

    def test_there_is_no_recovery(self, rotated, clock):
        clock.forward(3600)
        assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_reason == _Reason.REUSE


class TestAnAnswerToSomewhereElse:
    def test_is_a_security_event(self, rotated):
        rotated.present(rotated.first, ELSEWHERE)
        event = SecurityEvent.objects.get(kind=_Kind.ELSEWHERE)
        assert (event.session_id, event.user_id, event.ip) == (rotated.id, rotated.user.pk, ELSEWHERE.ip)

    @pytest.mark.parametrize("client", [Client("198.51.100.7", "Firefox"), Client("192.0.2.7", "Chrome")])
    def test_is_one_to_another_network_or_another_browser(self, rotated, client):
        rotated.present(rotated.first, client)
        assert rotated.events(_Kind.ELSEWHERE) == 1

    def test_within_the_network_is_none(self, rotated):
        rotated.present(rotated.first, Client("192.0.2.200", "Firefox"))
        assert rotated.events(_Kind.ELSEWHERE) == 0

    def test_is_written_once_an_hour_at_most(self, rotated, clock):
        for _ in range(5):
            rotated.present(rotated.first, ELSEWHERE)
            rotated.present(rotated.token, ELSEWHERE)
        assert rotated.events(_Kind.ELSEWHERE) == 1
        clock.forward(3599)
        rotated.present(rotated.first, ELSEWHERE)
        assert rotated.row.recovered == 1
        assert rotated.events(_Kind.ELSEWHERE) == 1
        clock.forward(1)
        rotated.present(rotated.first, ELSEWHERE)
        assert rotated.events(_Kind.ELSEWHERE) == 2

    def test_is_answered_all_the_same(self, rotated):
        answer = rotated.present(rotated.first, ELSEWHERE)
        assert not isinstance(answer, Refusal)
        assert answer.refresh_token == rotated.token


class TestSigningInAgainOnADevice:
    @pytest.fixture
    def twice(self, user: Any, clock: Any) -> tuple[Holder, Holder]:
        """Two sessions of one user in one browser, in the order of their sign-ins."""
        earlier = Holder(user)
        clock.forward(1)
        return earlier, Holder(user, replace(HOME, device_token=earlier.grant.device_token))

    def test_leaves_the_session_before_alive(self, twice):
        earlier, later = twice
        assert earlier.row.device_id == later.row.device_id
        earlier.refresh()
        assert later.row.revoked_at is None

    def test_ends_the_session_before_at_the_first_refresh(self, twice):
        earlier, later = twice
        later.refresh()
        assert earlier.row.revoked_reason == _Reason.SUPERSEDED
        assert earlier.events(_Kind.REVOKED) == 1
        assert earlier.revocations() == 1
        assert earlier.is_refused()
        assert later.row.revoked_at is None

    def test_ends_no_session_of_another_device(self, twice):
        another = Holder(twice[0].user)
        twice[1].refresh()
        assert another.row.revoked_at is None

    def test_ends_the_session_before_though_the_first_attempt_failed_half_way(self, transactional_db, clock):
        """Whichever statement the database goes down at, the retry does what is left to do."""
        failed, fail_at = True, 0
        while failed:
            fail_at += 1
            user = UserFactory()
            earlier = Holder(user)
            clock.forward(1)
            later = Holder(user, replace(HOME, device_token=earlier.grant.device_token))
            failed = _refresh_failing_at(later, fail_at)
            later.refresh(later.first)
            assert later.row.generation == 1
            assert earlier.row.revoked_reason == _Reason.SUPERSEDED
        assert fail_at > 3


def _refresh_failing_at(holder: Holder, number: int) -> bool:
    """Refresh, while the database goes down before its nth statement. Return whether it did."""
    sent = 0

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal sent
        if "PRAGMA" not in sql:
            sent += 1
            if sent >= number:
                raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(wrapper):
            holder.present()
    except OperationalError:
        return True
    return False


class TestAPassword:
    def test_that_was_changed_ends_the_session_at_its_next_refresh(self, rotated):
        rotated.user.set_password("another one")
        rotated.user.save()
        assert rotated.is_refused()
        assert rotated.row.revoked_reason == _Reason.PASSWORD_CHANGED
        assert rotated.revocations() == 1

    def test_that_was_changed_by_raw_sql_does_too(self, rotated):
        get_user_model()._base_manager.filter(pk=rotated.user.pk).update(password="!")
        assert rotated.is_refused()
        assert rotated.row.revoked_reason == _Reason.PASSWORD_CHANGED

    def test_that_was_changed_ends_nobody_elses_session(self, rotated):
        other = Holder(UserFactory())
        rotated.user.set_password("another one")
        rotated.user.save()
        other.refresh()
        assert other.row.revoked_at is None

    def test_that_was_changed_leaves_the_next_sign_in_alone(self, rotated):
        rotated.user.set_password("another one")
        rotated.user.save()
        Holder(rotated.user).refresh()

    @pytest.fixture
    def outdated(self, user: Any, clock: Any) -> list[Holder]:
        """Sessions of a user whose password hash Django will upgrade at the next sign-in."""
        user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, iterations=1)
        get_user_model()._base_manager.filter(pk=user.pk).update(password=user.password)
        return [Holder(user) for _ in range(3)]

    def test_whose_hash_is_upgraded_at_sign_in_keeps_all_sessions(self, outdated, rf):
        user = authenticate(rf.post("/"), username=outdated[0].user.email, password=PASSWORD)
        assert user is not None
        assert identify_hasher(user.password).algorithm == "argon2"
        for holder in outdated:
            assert bytes(holder.row.auth_hash_digest) == stamp_of(user)
            holder.refresh()
            assert holder.row.revoked_at is None

    def test_whose_hash_is_upgraded_brings_no_ended_session_back(self, outdated, rf):
        outdated[0].end()
        before = bytes(outdated[0].row.auth_hash_digest)
        assert authenticate(rf.post("/"), username=outdated[0].user.email, password=PASSWORD)
        assert bytes(outdated[0].row.auth_hash_digest) == before
        assert outdated[0].is_refused()

    def test_that_is_wrong_upgrades_nothing(self, outdated, rf):
        assert authenticate(rf.post("/"), username=outdated[0].user.email, password="wrong") is None
        for holder in outdated:
            holder.refresh()

    def test_whose_hash_is_upgraded_while_a_refresh_is_under_way_keeps_the_session(self, outdated, rf, clock):
        holder = outdated[0]
        with before_the_update(lambda: authenticate(rf.post("/"), username=holder.user.email, password=PASSWORD)):
            holder.refresh()
        assert holder.row.generation == 1
        clock.forward(STILL_TIME)
        holder.refresh()
        assert holder.row.revoked_at is None

    def test_whose_new_hash_is_seen_before_the_sessions_are_stamped_keeps_the_session(self, outdated):
        user, old = outdated[0].user, outdated[0].user.password
        user.password = make_password(PASSWORD)
        get_user_model()._base_manager.filter(pk=user.pk).update(password=user.password)
        with before_the_update(lambda: restamp(user, old), where=f"LIMIT {ending.BATCH}"):
            outdated[0].refresh()
        assert outdated[0].row.revoked_at is None

    def test_that_is_changed_while_a_refresh_is_under_way_ends_the_session(self, holder):
        def change() -> None:
            holder.user.set_password("another one")
            holder.user.save()

        with before_the_update(change):
            holder.present()
        assert holder.is_refused()


class TestARotatedSecretKey:
    NEW = "another secret for tests that is long enough to be taken for a real one"

    @pytest.fixture
    def old(self, settings: Any) -> str:
        found: str = settings.SECRET_KEY
        return found

    def test_keeps_the_session_and_stamps_it_anew(self, rotated, clock, settings, old):
        before = bytes(rotated.row.auth_hash_digest)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = self.NEW, [old]
        clock.forward(STILL_TIME)
        rotated.refresh()
        assert bytes(rotated.row.auth_hash_digest) != before
        settings.SECRET_KEY_FALLBACKS = []
        clock.forward(STILL_TIME)
        rotated.refresh()
        assert rotated.row.generation == 3
        assert rotated.row.revoked_at is None

    def test_makes_new_tokens_with_the_new_key(self, rotated, clock, settings, old):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = self.NEW, [old]
        clock.forward(STILL_TIME)
        before = rotated.token
        rotated.refresh()
        settings.SECRET_KEY_FALLBACKS = []
        assert rotated.present(before) == Refusal(definite=False)
        assert not rotated.is_refused()

    def test_repeats_and_recovers_what_was_made_with_the_old_one(self, rotated, clock, settings, old):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = self.NEW, [old]
        answer = rotated.present(rotated.first)
        assert not isinstance(answer, Refusal)
        assert generation_of(answer.refresh_token or "") == 1
        clock.forward(GRACE)
        assert not rotated.is_refused(rotated.first)

    def test_without_a_fall_back_refuses_and_neither_clears_cookies_nor_ends_anything(
        self, rotated, settings, old, django_assert_num_queries
    ):
        """Another process may still have the old one: a rolling deployment."""
        settings.SECRET_KEY = self.NEW
        with django_assert_num_queries(0):
            assert rotated.present() == Refusal(definite=False)
        settings.SECRET_KEY = old
        assert not rotated.is_refused()

    def test_that_dropped_its_fall_back_before_the_session_was_stamped_anew_ends_it(
        self, rotated, clock, settings, old
    ):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = self.NEW, [old]
        clock.forward(1)
        answer = rotated.present(rotated.first)  # A repeat writes nothing.
        settings.SECRET_KEY_FALLBACKS = []
        assert not isinstance(answer, Refusal)
        assert rotated.is_refused(answer.refresh_token)
        assert rotated.row.revoked_reason == _Reason.PASSWORD_CHANGED


class TestIsRefused:
    """Each with the same answer, and none of them is taken for theft."""

    def test_a_session_whose_user_was_switched_off_behind_our_back(self, rotated):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_user SET is_active = %s", [False])
        assert rotated.present() == Refusal()
        assert rotated.row.revoked_reason == _Reason.USER_DISABLED
        assert rotated.revocations() == 1

    @pytest.mark.parametrize("generation", [0, 1, 2, 2**32 - 1])
    def test_a_forgery_by_somebody_who_has_a_key(self, rotated, generation):
        """He does not have the login's secret: so he must not be able to sign people out either."""
        ring = keyring()
        forged = refresh_tokens.RefreshToken(rotated.id, b"f" * 16, generation)
        before = RefreshToken.objects.values().get()
        assert rotated.present(refresh_tokens.dumps(forged, ring.key_id, ring.mac_keys[ring.key_id])) == Refusal()
        assert RefreshToken.objects.values().get() == before
        assert rotated.events(_Kind.REUSE_DETECTED) == 0

    def test_a_token_of_a_session_that_is_not_there(self, rotated):
        RefreshToken.objects.all().delete()
        assert rotated.present() == Refusal()

    def test_a_token_that_comes_as_its_session_does_not_keep_it(self, rotated):
        in_body = Holder(rotated.user, mode="body")
        assert refresh(rotated.token, ("body",), HOME) == Refusal()
        assert refresh(in_body.token, ("cookie",), HOME) == Refusal()
        assert rotated.row.revoked_at is None
        assert in_body.row.revoked_at is None

    def test_a_token_that_differs_in_one_character(self, rotated):
        before = RefreshToken.objects.values().get()
        for at in range(len(rotated.token)):
            other = "A" if rotated.token[at] != "A" else "B"
            answer = rotated.present(rotated.token[:at] + other + rotated.token[at + 1 :])
            assert isinstance(answer, Refusal)
        assert RefreshToken.objects.values().get() == before

    def test_a_token_of_another_session_with_this_ones_id(self, rotated):
        ring, other = keyring(), Holder(rotated.user)
        theirs = refresh_tokens.loads(other.token, ring.mac_keys)
        mixed = replace(theirs, session_id=rotated.id)
        assert rotated.present(refresh_tokens.dumps(mixed, ring.key_id, ring.mac_keys[ring.key_id])) == Refusal()
        assert not rotated.is_refused()

    def test_a_session_id_that_never_was(self, rotated):
        ring = keyring()
        unknown = refresh_tokens.RefreshToken(uuid4(), b"s" * 16, 0)
        assert rotated.present(refresh_tokens.dumps(unknown, ring.key_id, ring.mac_keys[ring.key_id])) == Refusal()


class TestTheEndOfASession:
    HOUR, DAY = 3600, 86400

    def test_without_remember_me_comes_after_twelve_hours_unused(self, holder, clock):
        clock.forward(12 * self.HOUR - 1)
        assert not holder.is_refused()
        clock.forward(12 * self.HOUR)
        assert holder.is_refused()

    def test_with_remember_me_comes_after_fourteen_days_unused(self, user, clock):
        holder = Holder(user, remember=True)
        clock.forward(14 * self.DAY - 1)
        holder.refresh()
        clock.forward(14 * self.DAY)
        assert holder.is_refused()

    @pytest.mark.parametrize(("remember", "step"), [(True, DAY), (False, 11 * HOUR)])
    def test_comes_after_thirty_days_however_much_it_is_used(self, user, clock, remember, step):
        holder, opened = Holder(user, remember=remember), clock.now
        while clock.now + timedelta(seconds=step) < opened + timedelta(days=30):
            clock.forward(step)
            holder.refresh()
        clock.forward((opened + timedelta(days=30) - clock.now).total_seconds())
        assert holder.is_refused()
        assert holder.row.revoked_at is None

    def test_by_itself_is_no_revocation_and_no_reuse(self, rotated, clock):
        clock.forward(13 * self.HOUR)
        assert rotated.is_refused()
        assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_at is None
        assert rotated.revocations() == 0
        assert rotated.events(_Kind.REUSE_DETECTED) == 0

    def test_is_the_latest_end_of_its_access_tokens(self, user, clock):
        holder = Holder(user, remember=True)
        while holder.row.expires_at - clock.now > timedelta(days=1):
            clock.forward(self.DAY)
            holder.refresh()
        clock.forward((holder.row.expires_at - clock.now).total_seconds() - 60)
        answer = holder.refresh()
        assert instant(answer.access.expires_at) == holder.row.expires_at

    def test_follows_the_settings(self, user, clock, settings):
        settings.TOKENS = {"BROWSER_SESSION_LIFETIME": 1200, "ABSOLUTE_LIFETIME": 2000}
        holder = Holder(user)
        clock.forward(1100)
        holder.refresh()
        clock.forward(899)
        holder.refresh()
        clock.forward(1)
        assert holder.is_refused()


class TestWhoeverLosesTheRace:
    """Somebody else writes the row between this refresh's read and its update."""

    def test_against_the_same_token_gives_the_same_answer(self, holder):
        first: list[Any] = []
        with before_the_update(lambda: first.append(holder.present())):
            second = holder.refresh()
        assert second.refresh_token == first[0].refresh_token
        assert holder.row.generation == 1

    def test_against_the_end_of_the_session_is_refused(self, holder):
        with before_the_update(holder.end):
            assert holder.is_refused()
        assert holder.row.generation == 0
        assert holder.row.revoked_reason == _Reason.SIGNED_OUT
        assert holder.revocations() == 1

    def test_against_a_recovery_repeats(self, rotated, clock):
        clock.forward(STILL_TIME)
        with before_the_update(lambda: rotated.present(rotated.first)):
            rotated.refresh(rotated.first)
        assert rotated.row.recovered == 1
        assert rotated.events(_Kind.RECOVERED) == 1

    def test_against_an_acknowledgement_does_not_recover(self, rotated, clock):
        clock.forward(GRACE)
        with before_the_update(lambda: rotated.put_back(acknowledged=True)):
            assert rotated.is_refused(rotated.first)
        assert rotated.row.revoked_reason == _Reason.REUSE

    def test_every_time_is_told_that_nothing_is_known(self, holder, monkeypatch):
        monkeypatch.setattr(refreshing, "ATTEMPTS", 3)

        def move() -> None:
            RefreshToken.objects.filter(id=holder.id).update(since=F("since") - timedelta(seconds=1))

        with before_the_update(move, times=3), pytest.raises(OperationalError):
            holder.present()
        assert holder.row.generation == 0
        assert not holder.is_refused()
