"""Binding on the rows: what a registration and a proof leave behind, who is refused, what no order of events may do."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from tests.factories import UserFactory
from tests.tokens.devices import OFFERED, KeyHolder, a_key, sign
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tests.tokens.service.test_refreshing import before_the_update
from tests.tokens.service.test_statements import (
    TABLE,
    WITHOUT_FLUSH,
    _size,
    _updates,
    _updates_since,
    statements,
    verbs,
)
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import binding
from tokens.service.binding import Challenge
from tokens.service.client import Client
from tokens.service.grants import Grant
from tokens.service.refreshing import Refusal

pytestmark = pytest.mark.django_db

ELSEWHERE = Client("198.51.100.7", "Chrome")
QUARTER_OF_AN_HOUR, HOUR = 901, 3600
_Kind = SecurityEvent.Kind
_Reason = RefreshToken.Reason


@pytest.fixture(autouse=True)
def _offered(settings: Any) -> None:
    settings.TOKENS = OFFERED


@pytest.fixture
def holder(user: Any, clock: Any) -> KeyHolder:
    """A session just opened, by a browser that has a key."""
    return KeyHolder(user)


@pytest.fixture
def pending(holder: KeyHolder) -> KeyHolder:
    """A session whose key is registered, and not proven yet."""
    assert isinstance(holder.register(), Grant)
    return holder


@pytest.fixture
def bound(pending: KeyHolder, clock: Any) -> KeyHolder:
    """A session that its key was just proven for."""
    assert isinstance(pending.prove(), Grant)
    return pending


def cause_of(answer: Any) -> str:
    assert isinstance(answer, Refusal | Challenge)
    return answer.cause


class TestARegistration:
    def test_leaves_the_key_pending_and_the_refresh_token_as_good_as_ever(self, pending, clock):
        row = pending.row
        assert (row.bound_key["crv"], row.bound_algorithm, row.bound_at) == ("P-256", "ES256", None)
        for _ in range(3):
            pending.refresh()
            clock.forward(STILL_TIME)
        assert pending.row.generation == 3
        assert pending.events(_Kind.BOUND) == 0

    def test_that_is_sent_again_is_answered_again_and_another_key_is_refused(self, holder):
        text = holder.registration()
        assert isinstance(holder.register(text), Grant)
        before = holder.row.bound_key
        assert isinstance(holder.register(text), Grant)
        assert cause_of(holder.register(holder.registration(a_key()))) == "another key"
        assert holder.row.bound_key == before

    def test_of_two_keys_at_once_is_of_the_first(self, holder):
        with before_the_update(lambda: holder.register(holder.registration(a_key()))):
            assert cause_of(holder.register()) == "another key"
        assert isinstance(holder.present(), Grant)

    def test_is_for_a_minute(self, holder, clock):
        text = holder.registration()
        clock.forward(61)
        assert isinstance(holder.register(text), Refusal)
        assert holder.row.bound_key is None

    @pytest.mark.parametrize("claims", [{"jti": "x"}, {"authorization": "x"}, {"authorization": None}])
    def test_of_what_was_not_offered_is_refused(self, holder, claims):
        assert isinstance(holder.register(holder.registration(**claims)), Refusal)
        assert holder.row.bound_key is None

    def test_of_another_sessions_ticket_binds_nothing_here(self, holder):
        other = KeyHolder(UserFactory())
        mixed = binding.offer(other.row, other.row.since).ticket
        assert isinstance(holder.register(holder.registration(authorization=mixed)), Refusal)
        assert RefreshToken.objects.filter(bound_key__isnull=True).count() == 2

    def test_of_a_session_that_has_ended_is_refused(self, holder):
        holder.end()
        assert isinstance(holder.register(), Refusal)

    def test_of_a_user_who_is_switched_off_is_refused(self, holder):
        type(holder.user).objects.filter(pk=holder.user.pk).update(is_active=False)
        assert isinstance(holder.register(), Refusal)

    def test_is_not_offered_where_tokens_end_sooner_than_browsers_sign(self, holder, settings):
        assert binding.is_offered(holder.row)
        settings.TOKENS = {**OFFERED, "ACCESS_LIFETIME": 299}
        assert not binding.is_offered(holder.row)

    def test_of_a_session_whose_tokens_are_not_in_cookies_of_one_host_is_refused(self, user, settings):
        settings.TOKENS = {**OFFERED, "MODES": ["cookie", "scoped", "subdomain", "body"], "COOKIE_DOMAIN": "testserver"}
        for mode in ("subdomain", "body"):
            holder = KeyHolder(user, mode=mode)
            assert not binding.is_offered(holder.row)
            assert isinstance(holder.register(), Refusal)
            assert holder.row.bound_key is None


class TestAFirstProof:
    def test_binds_the_session_and_ends_its_refresh_token(self, pending, clock):
        clock.forward(5)
        answer = pending.prove()
        assert answer.binds
        assert answer.refresh_token is None
        row = pending.row
        assert (row.generation, row.bound_at, row.since) == (1, clock.now, clock.now)
        assert pending.is_refused()
        assert pending.events(_Kind.BOUND) == 1
        assert not pending.prove().binds
        assert pending.events(_Kind.BOUND) == 1

    def test_ends_what_the_device_had_before_as_a_first_rotation_does(self, user, clock):
        before = Holder(user)
        client = Client("192.0.2.7", "Firefox", before.grant.device_token)
        clock.forward(1)
        after = KeyHolder(user, client=client)
        assert before.row.device_id == after.row.device_id
        after.bind()
        assert before.row.revoked_reason == _Reason.SUPERSEDED

    def test_of_a_session_that_the_browser_left_for_a_newer_one_is_refused(self, user, clock):
        before = KeyHolder(user)
        client = Client("192.0.2.7", "Firefox", before.grant.device_token)
        before.bind()
        clock.forward(1)
        after = KeyHolder(user, client=client)
        assert isinstance(before.prove(), Grant), "nobody has heard of another key"
        after.register()
        assert cause_of(binding.refresh(before.id, before.proof(challenge="any"), client)) == "left for a newer sign-in"
        assert before.row.revoked_at is None, "the newer one may never be proven"
        after.end()
        assert isinstance(before.prove(), Grant)

    def test_after_the_token_was_used_meanwhile_is_asked_for_anew(self, pending, clock):
        """The token of a thief who copied the cookies before the key was proven, and was faster: it is dead then."""
        proof = pending.proof()
        thief = pending.present(client=ELSEWHERE)
        assert isinstance(thief, Grant)
        assert thief.refresh_token
        assert cause_of(pending.prove(proof)) == binding.STALE
        assert isinstance(pending.prove(), Grant)
        clock.forward(STILL_TIME)
        assert pending.is_refused(thief.refresh_token)
        assert pending.row.revoked_at is None
        assert isinstance(pending.prove(), Grant)

    def test_and_a_refresh_at_the_same_time_leave_one_of_both(self, pending):
        proof = pending.proof()
        with before_the_update(lambda: pending.present()):
            assert cause_of(pending.prove(proof)) == binding.STALE
        assert pending.row.bound_at is None

    def test_and_a_refresh_at_the_same_time_leave_the_other_of_both(self, pending):
        with before_the_update(lambda: pending.prove()):
            assert pending.is_refused()
        assert pending.row.bound_at is not None
        assert pending.row.revoked_at is None

    @pytest.mark.only_on("postgresql")
    def test_and_the_one_statement_that_rotates_leave_the_other_of_both(self, pending, clock):
        pending.refresh()
        clock.forward(STILL_TIME)
        with before_the_update(lambda: pending.prove(), where="AS session"):
            assert pending.is_refused()
        assert (pending.row.bound_at, pending.row.revoked_at) == (clock.now, None)


class TestAProof:
    def test_begins_the_next_generation_of_the_same_row(self, bound, clock):
        before = bound.row
        clock.forward(500)
        answer = bound.prove()
        row = bound.row
        assert (row.generation, row.since) == (2, clock.now)
        assert row.idle_expires_at == before.idle_expires_at + timedelta(seconds=500)
        assert answer.access.session_id == bound.id
        assert answer.access.generation is None
        assert answer.access.issued_at == int(clock.now.timestamp())

    def test_notes_from_where_it_came(self, bound, clock):
        bound.client = ELSEWHERE
        bound.prove()
        assert bound.row.ip == ELSEWHERE.ip
        assert bytes(bound.row.user_agent_digest) == ELSEWHERE.user_agent_digest

    def test_works_once_and_what_is_sent_again_is_asked_to_be_signed_anew(self, bound):
        """An honest browser whose answer was lost sends the same proof three times at once."""
        text = bound.proof()
        answers = [bound.prove(text) for _ in range(3)]
        assert [type(answer) for answer in answers] == [Grant, Challenge, Challenge]
        assert bound.row.generation == 2
        assert isinstance(bound.prove(bound.proof(answers[-1].text)), Grant)

    def test_that_loses_the_race_against_itself_is_asked_to_be_signed_anew(self, bound):
        text = bound.proof()
        with before_the_update(lambda: bound.prove(text)):
            assert cause_of(bound.prove(text)) == binding.STALE
        assert bound.row.generation == 2

    def test_that_loses_a_race_against_something_else_is_as_good_as_before(self, bound):
        with before_the_update(lambda: bound.put_back(acknowledged=True)):
            assert isinstance(bound.prove(), Grant)

    def test_that_loses_every_race_is_no_refusal(self, bound, clock):
        text, moments = bound.proof(), iter(range(1, 1000))
        with (
            before_the_update(lambda: bound.put_back(since=clock.now - timedelta(seconds=next(moments))), times=999),
            pytest.raises(OperationalError),
        ):
            bound.prove(text)

    @pytest.mark.parametrize(
        "challenge",
        [
            lambda bound, clock: KeyHolder(UserFactory()).bind().challenge(),
            lambda bound, clock: binding.offer(bound.row, clock.now).challenge,
            lambda bound, clock: bound.challenge()[:-1],
            lambda bound, clock: "garbage",
            lambda bound, clock: "",
        ],
        ids=["another session's", "the registration's", "a cut one", "garbage", "none"],
    )
    def test_of_another_challenge_is_asked_to_be_signed_anew(self, bound, clock, challenge):
        text = challenge(bound, clock)
        answer = binding.refresh(bound.id, sign(bound.key, {"jti": text}), bound.client)
        assert cause_of(answer) == binding.STALE
        assert bound.row.generation == 1

    def test_of_an_old_challenge_is_asked_to_be_signed_anew(self, bound, clock):
        text = bound.proof()
        clock.forward(QUARTER_OF_AN_HOUR)
        assert cause_of(bound.prove(text)) == binding.STALE

    def test_of_any_good_challenge_is_good_and_then_none_of_the_others(self, bound, clock):
        first = bound.challenge()
        clock.forward(5)
        second = bound.challenge()
        assert first != second
        assert isinstance(bound.prove(bound.proof(first)), Grant)
        assert cause_of(bound.prove(bound.proof(second))) == binding.STALE

    def test_that_another_challenge_was_put_into_is_refused(self, bound, clock):
        head, _, signature = bound.proof().split(".")
        clock.forward(5)
        _, payload, _ = bound.proof().split(".")
        assert cause_of(bound.prove(f"{head}.{payload}.{signature}")) == binding.WRONG

    @pytest.mark.parametrize(
        ("spoil", "cause"),
        [
            (lambda bound: KeyHolder(UserFactory()).proof(bound.challenge()), binding.WRONG),
            (lambda bound: bound.proof(typ="JWT"), binding.WRONG),
            (lambda bound: bound.proof(alg="none"), binding.WRONG),
            (lambda bound: bound.proof() + ".", binding.MALFORMED),
            (lambda bound: "garbage", binding.MALFORMED),
            (lambda bound: "", binding.MALFORMED),
        ],
        ids=["another key", "another typ", "none", "trailing data", "garbage", "nothing"],
    )
    def test_that_is_wrong_is_refused_noted_once_an_hour_and_ends_nothing(self, bound, clock, spoil, cause):
        for _ in range(3):
            answer = binding.refresh(bound.id, spoil(bound), ELSEWHERE)
            assert cause_of(answer) == cause
            assert answer == Refusal()  # To a client they are all the same.
        [event] = SecurityEvent.objects.filter(session_id=bound.id, kind=_Kind.UNPROVEN)
        assert (event.reason, event.ip, event.user_id) == (cause, ELSEWHERE.ip, bound.user.pk)
        clock.forward(HOUR)
        binding.refresh(bound.id, spoil(bound), ELSEWHERE)
        assert bound.events(_Kind.UNPROVEN) == 2
        assert (bound.row.generation, bound.row.revoked_at) == (1, None)
        assert isinstance(bound.prove(), Grant)

    def test_under_an_older_secret_of_the_server_is_good(self, bound, settings):
        text = bound.proof()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another secret for tests, long enough to be taken for a real one"
        assert isinstance(bound.prove(text), Grant)


class TestWhoIsRefused:
    """For a browser that is told so the session is over."""

    def test_whoever_names_no_session_of_ours(self, user):
        assert cause_of(binding.refresh(None, None, ELSEWHERE)) == "no session"
        assert cause_of(binding.refresh(uuid4(), None, ELSEWHERE)) == "unknown session"

    def test_a_session_without_a_key(self, holder):
        assert cause_of(binding.refresh(holder.id, None, ELSEWHERE)) == "no key"

    def test_a_session_that_was_revoked(self, bound):
        text = bound.proof()
        bound.end()
        assert cause_of(bound.prove(text)) == "session ended"
        assert cause_of(binding.refresh(bound.id, None, bound.client)) == "session ended"

    def test_a_session_that_is_revoked_while_it_proves_itself(self, bound):
        with before_the_update(bound.end):
            assert cause_of(bound.prove()) == "session ended"

    def test_a_session_that_was_unused_for_too_long(self, bound, clock):
        clock.forward(14 * 24 * HOUR)
        assert cause_of(binding.refresh(bound.id, None, bound.client)) == "session ended"

    def test_a_user_who_was_switched_off_whose_session_ends(self, bound):
        type(bound.user).objects.filter(pk=bound.user.pk).update(is_active=False)
        RefreshToken.objects.update(revoked_at=None, revoked_reason="")
        assert cause_of(binding.refresh(bound.id, None, bound.client)) == _Reason.USER_DISABLED
        assert bound.row.revoked_reason == _Reason.USER_DISABLED

    def test_a_user_who_has_a_new_password_whose_session_ends(self, bound):
        bound.user.set_password("quite another passphrase")
        bound.user.save()
        assert cause_of(binding.refresh(bound.id, None, bound.client)) == _Reason.PASSWORD_CHANGED
        assert bound.row.revoked_reason == _Reason.PASSWORD_CHANGED


class TestTheRefreshTokenOfABoundSession:
    def test_is_refused_whatever_its_generation_and_ends_nothing(self, pending, clock):
        pending.refresh()
        clock.forward(STILL_TIME)
        pending.bind()
        for later in (0, GRACE, STILL_TIME, HOUR):
            clock.forward(later)
            for token in (pending.first, pending.token):
                answer = pending.present(token)
                assert cause_of(answer) == "bound to its device"
                assert answer == Refusal()
        assert pending.row.revoked_at is None
        assert pending.revocations() == 0
        assert isinstance(pending.prove(), Grant)

    def test_is_noted_once_an_hour_but_not_within_the_grace(self, bound, clock):
        clock.forward(GRACE - 2)
        bound.present()
        assert bound.events(_Kind.UNPROVEN) == 0
        clock.forward(2)
        for _ in range(3):
            bound.present(client=ELSEWHERE)
        [event] = SecurityEvent.objects.filter(kind=_Kind.UNPROVEN)
        assert (event.reason, event.ip) == ("refresh token", ELSEWHERE.ip)
        clock.forward(HOUR)
        bound.present()
        assert bound.events(_Kind.UNPROVEN) == 2

    def test_of_a_session_that_has_ended_too_is_refused_as_ever(self, bound):
        bound.end()
        assert cause_of(bound.present()) == "session ended"


class TestSwitchedOff:
    def test_a_pending_key_is_as_if_it_were_not_there(self, pending, settings, clock):
        settings.TOKENS = {"DEVICE_BOUND": "off"}
        assert cause_of(binding.refresh(pending.id, None, pending.client)) == "no key"
        pending.refresh()

    def test_a_bound_session_goes_on(self, bound, settings):
        settings.TOKENS = {"DEVICE_BOUND": "off"}
        assert isinstance(bound.prove(), Grant)


@pytest.mark.django_db(transaction=True)
class TestStatements:
    Queries = Callable[[int], AbstractContextManager[Any]]

    def test_a_refresh_is_one_read_and_one_update_that_waits_for_no_disk(self, bound, database):
        text = bound.proof()
        sent = statements(lambda: bound.prove(text))
        assert [sql.split()[0] for sql in sent] == ["SELECT", "UPDATE"]
        assert database == "sqlite" or WITHOUT_FLUSH in sent[-1]

    def test_a_first_proof_waits_for_the_disk(self, pending, database):
        text = pending.proof()
        sent = statements(lambda: pending.prove(text))
        assert not any(WITHOUT_FLUSH in sql for sql in sent)
        assert database == "postgresql" or "PRAGMA synchronous = 2" in sent

    def test_a_challenge_is_one_read(self, bound):
        old = bound.proof()
        bound.prove(old)
        assert verbs(bound.challenge) == ["SELECT"]
        assert verbs(lambda: bound.prove(old)) == ["SELECT"]

    def test_a_session_that_is_no_name_is_none(self):
        assert verbs(lambda: binding.refresh(None, None, ELSEWHERE)) == []

    def test_a_registration_that_proves_nothing_is_none(self, holder):
        assert verbs(lambda: holder.register("garbage")) == []

    def test_a_registration_is_one_update_and_one_read(self, holder):
        text = holder.registration()
        assert verbs(lambda: holder.register(text)) == ["UPDATE", "SELECT"]

    def test_a_refresh_adds_no_rows(self, bound, clock):
        before = SecurityEvent.objects.count(), RefreshToken.objects.count()
        for _ in range(10):
            clock.forward(500)
            bound.prove()
        assert (SecurityEvent.objects.count(), RefreshToken.objects.count()) == before
        assert bound.row.generation == 11


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("without_vacuum")
class TestUpdatesInPlace:
    def test_do_not_make_the_table_grow(self, clock):
        holders = [KeyHolder(UserFactory()).bind() for _ in range(30)]
        # Keys make a row longer, and each page has to find its room once.
        for holder in holders:
            holder.prove()
        before, size = _updates(), _size(TABLE)
        for _ in range(10):
            clock.forward(500)
            for holder in holders:
                holder.prove()
        updates, in_place = _updates_since(before)
        assert updates == 10 * len(holders)
        assert in_place == updates
        assert _size(TABLE) == size
