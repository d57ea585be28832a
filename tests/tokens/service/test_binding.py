"""Binding a session to its device's key: what a registration and a proof write, and which of them are rejected."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from tests.factories import UserFactory
from tests.tokens.devices import OFFERED, KeyHolder, a_key, sign
from tests.tokens.service.holders import ELSEWHERE, GRACE, STILL_TIME, Holder, change_password, deactivate_in_sql
from tests.tokens.service.statements import WITHOUT_FLUSH, before_the_update, statements, verbs
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import binding
from tokens.service.binding import Challenge
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal

pytestmark = pytest.mark.django_db

QUARTER_OF_AN_HOUR, HOUR = 901, 3600
_Kind = SecurityEvent.Kind
_Reason = RefreshToken.Reason


@pytest.fixture(autouse=True)
def _offered(settings: Any) -> None:
    """Switch binding on. It is off by default, and then every registration would be rejected."""
    settings.TOKENS = OFFERED


@pytest.fixture
def holder(user: Any, clock: Any) -> KeyHolder:
    """A session that is not bound, in a browser with a key. Without it, no test would see a registration begin."""
    return KeyHolder(user)


@pytest.fixture
def pending(holder: KeyHolder) -> KeyHolder:
    """A session whose key is registered, but not proven. Without it, no test would see the first proof."""
    assert isinstance(holder.register(), IssuedTokens)
    return holder


@pytest.fixture
def bound(pending: KeyHolder) -> KeyHolder:
    """A session whose key has just been proven. The first proof differs from all later ones."""
    assert isinstance(pending.prove(), IssuedTokens)
    return pending


def cause_of(answer: Any) -> str:
    """Return why a request was rejected or challenged."""
    assert isinstance(answer, Refusal | Challenge)
    return answer.cause


def ask(holder: KeyHolder, proof: str | None = None) -> Any:
    """Ask to refresh the session, with this proof or without one."""
    return binding.refresh(holder.id, proof, holder.client)


class TestARegistration:
    def test_stores_the_key_as_pending_and_leaves_the_refresh_token_valid(self, pending, clock):
        row = pending.row
        assert (row.bound_key["crv"], row.bound_algorithm, row.bound_at) == ("P-256", "ES256", None)
        for _ in range(3):
            pending.refresh()
            clock.forward(STILL_TIME)
        assert pending.row.generation == 3
        assert pending.events(_Kind.BOUND) == 0

    def test_that_is_sent_again_is_answered_again_but_another_key_is_rejected(self, holder):
        text = holder.registration()
        assert isinstance(holder.register(text), IssuedTokens)
        before = holder.row.bound_key
        assert isinstance(holder.register(text), IssuedTokens)
        assert cause_of(holder.register(holder.registration(a_key()))) == "another key"
        assert holder.row.bound_key == before

    def test_of_two_keys_in_parallel_stores_the_first(self, holder):
        with before_the_update(lambda: holder.register(holder.registration(a_key()))):
            assert cause_of(holder.register()) == "another key"
        assert isinstance(holder.present(), IssuedTokens)

    AFTER = {
        "a minute": (lambda holder, clock: clock.forward(61), "wrong proof"),
        "the end of the session": (lambda holder, clock: holder.end(), "session ended"),
        "the user was deactivated": (lambda holder, clock: deactivate_in_sql(holder.user), "session ended"),
    }

    @pytest.mark.parametrize(("event", "cause"), AFTER.values(), ids=AFTER)
    def test_is_rejected_after(self, holder, clock, event, cause):
        text = holder.registration()
        event(holder, clock)
        assert cause_of(holder.register(text)) == cause
        assert cause == "session ended" or holder.row.bound_key is None

    def test_is_not_offered_if_access_tokens_expire_sooner_than_browsers_refresh(self, holder, settings):
        assert binding.is_offered(holder.row)
        settings.TOKENS = {**OFFERED, "ACCESS_LIFETIME": 299}
        assert not binding.is_offered(holder.row)

    @pytest.mark.parametrize("mode", ["subdomain", "body"])
    def test_is_neither_offered_nor_accepted_if_no_cookie_of_one_host_holds_the_tokens(self, user, settings, mode):
        settings.TOKENS = {**OFFERED, "MODES": ["cookie", "scoped", "subdomain", "body"], "COOKIE_DOMAIN": "testserver"}
        holder = KeyHolder(user, mode=mode)
        assert not binding.is_offered(holder.row)
        assert isinstance(holder.register(), Refusal)
        assert holder.row.bound_key is None


class TestAFirstProof:
    def test_binds_the_session_and_ends_its_refresh_token(self, pending, clock):
        clock.forward(5)
        answer = pending.prove()
        assert (answer.binds, answer.refresh_token) == (True, None)
        row = pending.row
        assert (row.generation, row.bound_at, row.since) == (1, clock.now, clock.now)
        assert pending.is_refused()
        assert pending.events(_Kind.BOUND) == 1
        assert not pending.prove().binds
        assert pending.events(_Kind.BOUND) == 1

    def test_ends_the_previous_session_of_the_device_as_a_first_rotation_does(self, user, clock):
        before = Holder(user)
        clock.forward(1)
        after = KeyHolder(user, client=before.browser)
        assert before.row.device_id == after.row.device_id
        after.bind()
        assert before.row.revoked_reason == _Reason.SUPERSEDED

    def test_of_a_session_that_the_browser_left_for_a_newer_one_is_rejected(self, user, clock):
        before = KeyHolder(user).bind()
        clock.forward(1)
        after = before.sign_in_again()
        assert isinstance(before.prove(), IssuedTokens), "no other key is registered yet"
        after.register()
        answer = binding.refresh(before.id, before.proof(challenge="any"), after.client)
        assert cause_of(answer) == "left for a newer sign-in"
        assert before.row.revoked_at is None, "the newer one may never be proven"
        after.end()
        assert isinstance(before.prove(), IssuedTokens)

    def test_after_the_token_was_used_has_to_be_signed_again(self, pending, clock):
        """An attacker copied the cookies before the first proof and refreshed first. The proof ends their token."""
        proof = pending.proof()
        stolen = pending.granted(client=ELSEWHERE).refresh_token
        assert stolen
        assert cause_of(pending.prove(proof)) == binding.STALE
        assert isinstance(pending.prove(), IssuedTokens)
        clock.forward(STILL_TIME)
        assert pending.is_refused(stolen)
        assert pending.row.revoked_at is None
        assert isinstance(pending.prove(), IssuedTokens)

    def test_that_loses_a_race_against_the_refresh_token_has_to_be_signed_again(self, pending):
        proof = pending.proof()
        with before_the_update(pending.present):
            assert cause_of(pending.prove(proof)) == binding.STALE
        assert pending.row.bound_at is None

    def test_that_wins_a_race_against_the_refresh_token_ends_it(self, pending):
        with before_the_update(pending.prove):
            assert pending.is_refused()
        assert pending.row.bound_at is not None
        assert pending.row.revoked_at is None

    @pytest.mark.only_on("postgresql")
    def test_that_wins_a_race_against_the_single_statement_of_a_rotation_ends_the_refresh_token(self, pending, clock):
        pending.refresh()
        clock.forward(STILL_TIME)
        with before_the_update(pending.prove, where="AS session"):
            assert pending.is_refused()
        assert (pending.row.bound_at, pending.row.revoked_at) == (clock.now, None)


class TestAProof:
    def test_begins_the_next_generation_of_the_same_row(self, bound, clock):
        before = bound.row
        clock.forward(500)
        bound.client = ELSEWHERE
        access, row = bound.prove().access, bound.row
        assert (row.generation, row.since) == (2, clock.now)
        assert row.idle_expires_at == before.idle_expires_at + timedelta(seconds=500)
        assert (row.ip, bytes(row.user_agent_digest)) == (ELSEWHERE.ip, ELSEWHERE.user_agent_digest)
        assert (access.session_id, access.generation) == (bound.id, None)
        assert access.issued_at == int(clock.now.timestamp())

    def test_works_once_and_then_has_to_be_signed_again(self, bound):
        """A browser whose response was lost sends the same proof three times."""
        text = bound.proof()
        answers = [bound.prove(text) for _ in range(3)]
        assert [type(answer) for answer in answers] == [IssuedTokens, Challenge, Challenge]
        assert bound.row.generation == 2
        assert isinstance(bound.prove(bound.proof(answers[-1].text)), IssuedTokens)

    def test_that_loses_a_race_against_itself_has_to_be_signed_again(self, bound):
        text = bound.proof()
        with before_the_update(lambda: bound.prove(text)):
            assert cause_of(bound.prove(text)) == binding.STALE
        assert bound.row.generation == 2

    def test_that_loses_a_race_against_another_change_is_accepted(self, bound):
        with before_the_update(lambda: bound.put_back(acknowledged=True)):
            assert isinstance(bound.prove(), IssuedTokens)

    def test_that_loses_every_race_raises_an_error(self, bound, clock):
        text, moments = bound.proof(), iter(range(1, 1000))
        with (
            before_the_update(lambda: bound.put_back(since=clock.now - timedelta(seconds=next(moments))), times=999),
            pytest.raises(OperationalError),
        ):
            bound.prove(text)

    def test_of_a_challenge_of_another_session_has_to_be_signed_again(self, bound, clock):
        text = KeyHolder(UserFactory()).bind().challenge()
        assert cause_of(ask(bound, sign(bound.key, {"jti": text}))) == binding.STALE
        assert bound.row.generation == 1

    def test_of_an_old_challenge_has_to_be_signed_again(self, bound, clock):
        text = bound.proof()
        clock.forward(QUARTER_OF_AN_HOUR)
        assert cause_of(bound.prove(text)) == binding.STALE

    def test_of_any_valid_challenge_is_accepted_and_then_none_of_the_others(self, bound, clock):
        first = bound.challenge()
        clock.forward(5)
        second = bound.challenge()
        assert first != second
        assert isinstance(bound.prove(bound.proof(first)), IssuedTokens)
        assert cause_of(bound.prove(bound.proof(second))) == binding.STALE

    WRONG = {
        "by another key": (lambda bound: KeyHolder(UserFactory()).proof(bound.challenge()), binding.WRONG),
        "that is no JWT": (lambda bound: "garbage", binding.MALFORMED),
    }

    @pytest.mark.parametrize(("wrong_proof", "cause"), WRONG.values(), ids=WRONG)
    def test_that_is_wrong_is_rejected_recorded_once_an_hour_and_ends_nothing(self, bound, clock, wrong_proof, cause):
        for _ in range(3):
            answer = binding.refresh(bound.id, wrong_proof(bound), ELSEWHERE)
            assert cause_of(answer) == cause
            assert answer == Refusal(), "the client must not learn the cause"
        [event] = SecurityEvent.objects.filter(session_id=bound.id, kind=_Kind.UNPROVEN)
        assert (event.reason, event.ip, event.user_id) == (cause, ELSEWHERE.ip, bound.user.pk)
        clock.forward(HOUR)
        binding.refresh(bound.id, wrong_proof(bound), ELSEWHERE)
        assert bound.events(_Kind.UNPROVEN) == 2
        assert (bound.row.generation, bound.row.revoked_at) == (1, None)
        assert isinstance(bound.prove(), IssuedTokens)

    def test_of_a_challenge_made_with_an_older_secret_key_is_accepted(self, bound, settings):
        text = bound.proof()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another secret for tests, long enough to be taken for a real one"
        assert isinstance(bound.prove(text), IssuedTokens)


class TestARefreshIsRejected:
    """A browser that gets this answer stops refreshing the session."""

    def test_if_it_names_no_known_session(self, user):
        assert cause_of(binding.refresh(None, None, ELSEWHERE)) == "no session"
        assert cause_of(binding.refresh(uuid4(), None, ELSEWHERE)) == "unknown session"

    def test_if_the_session_has_no_key(self, holder):
        assert cause_of(ask(holder)) == "no key"

    def test_if_the_session_is_revoked_while_the_proof_is_checked(self, bound):
        with before_the_update(bound.end):
            assert cause_of(bound.prove()) == "session ended"

    AFTER = {
        "the session was revoked": (lambda bound, clock: bound.end(), "session ended"),
        "two weeks without use": (lambda bound, clock: clock.forward(14 * 24 * HOUR), "session ended"),
        "the user was deactivated": (lambda bound, clock: deactivate_in_sql(bound.user), _Reason.USER_DISABLED),
        "the password was changed": (lambda bound, clock: change_password(bound.user), _Reason.PASSWORD_CHANGED),
    }

    @pytest.mark.parametrize(("event", "cause"), AFTER.values(), ids=AFTER)
    def test_after(self, bound, clock, event, cause):
        text = bound.proof()
        event(bound, clock)
        assert [cause_of(ask(bound)), cause_of(ask(bound, text))] == [cause, "session ended"]
        assert cause == "session ended" or bound.row.revoked_reason == cause


class TestTheRefreshTokenOfABoundSession:
    def test_is_rejected_whatever_its_generation_and_ends_nothing(self, pending, clock):
        pending.refresh()
        clock.forward(STILL_TIME)
        pending.bind()
        for later in (0, GRACE, STILL_TIME, HOUR):
            clock.forward(later)
            for token in (pending.first, pending.token):
                answer = pending.present(token)
                assert cause_of(answer) == "bound to its device"
                assert answer == Refusal(), "the client must not learn the cause"
        assert pending.row.revoked_at is None
        assert pending.revocations() == 0
        assert isinstance(pending.prove(), IssuedTokens)

    def test_is_recorded_once_an_hour_but_not_within_the_grace_period(self, bound, clock):
        clock.forward(GRACE - 2)
        bound.present()
        assert bound.events(_Kind.UNPROVEN) == 0
        clock.forward(1)
        for _ in range(3):
            bound.present(client=ELSEWHERE)
        [event] = SecurityEvent.objects.filter(kind=_Kind.UNPROVEN)
        assert (event.reason, event.ip) == ("refresh token", ELSEWHERE.ip)
        clock.forward(HOUR)
        bound.present()
        assert bound.events(_Kind.UNPROVEN) == 2

    def test_is_rejected_like_any_other_if_the_session_has_ended(self, bound):
        bound.end()
        assert cause_of(bound.present()) == "session ended"


class TestSwitchedOff:
    @pytest.fixture(autouse=True)
    def _off(self, bound: KeyHolder, settings: Any) -> None:
        """Switch binding off after `bound` was bound. Before, there would be no bound session to look at."""
        settings.TOKENS = {"DEVICE_BOUND": "off"}

    def test_a_pending_key_has_no_effect(self, bound):
        bound.put_back(bound_at=None)
        assert cause_of(ask(bound)) == "no key"
        bound.refresh()

    def test_a_bound_session_stays_bound(self, bound):
        assert isinstance(bound.prove(), IssuedTokens)


@pytest.mark.django_db(transaction=True)
class TestStatements:
    def test_a_refresh_is_one_read_and_one_update_whose_commit_does_not_wait_for_the_disk(self, bound, database):
        text = bound.proof()
        sent = statements(lambda: bound.prove(text))
        assert [sql.split()[0] for sql in sent] == ["SELECT", "UPDATE"]
        assert database == "sqlite" or WITHOUT_FLUSH in sent[-1]

    def test_the_commit_of_a_first_proof_waits_for_the_disk(self, pending, database):
        text = pending.proof()
        sent = statements(lambda: pending.prove(text))
        assert not any(WITHOUT_FLUSH in sql for sql in sent)
        assert database == "postgresql" or "PRAGMA synchronous = 2" in sent

    def test_a_challenge_is_one_read_and_a_registration_one_read_and_one_update(self, holder):
        text = holder.registration()
        assert verbs(lambda: holder.register(text)) == ["SELECT", "UPDATE"]
        old = holder.proof()
        assert isinstance(holder.prove(old), IssuedTokens)
        assert verbs(holder.challenge) == verbs(lambda: holder.prove(old)) == ["SELECT"]

    def test_a_refresh_without_a_session_and_a_registration_without_a_proof_are_none(self, holder):
        assert verbs(lambda: binding.refresh(None, None, ELSEWHERE)) == []
        assert verbs(lambda: holder.register("garbage")) == []
