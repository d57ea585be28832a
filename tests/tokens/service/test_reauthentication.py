"""A reauthentication with a refresh token is answered as a refresh is, and both timeouts begin again."""

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import UserFactory
from tests.tokens.service.holders import GRACE, HOME, STILL_TIME, Holder
from tests.tokens.service.statements import query
from tests.tokens.service.threads import in_thread
from tokens.conf import BODY, COOKIE, token_settings
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.rotation import Decision
from tokens.service import reauthentication, refreshing
from tokens.service.issuing import IssuedTokens
from tokens.service.possession import Sent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


@pytest.fixture
def holder(clock: Any) -> Holder:
    """A remembered session of generation 1, whose still time is over. One of generation 0 never has a still time."""
    found = Holder(UserFactory(), remember=True)
    clock.forward(1)
    found.refresh()
    clock.forward(STILL_TIME)
    return found


def again(holder: Holder, *tokens: str, mode: str = COOKIE, **options: Any) -> IssuedTokens | None:
    sent = [Sent(token, (mode,)) for token in tokens]
    return reauthentication.reauthenticate(holder.user, holder.id, {"otp": timedelta()}, HOME, sent, **options)


def given(holder: Holder, *tokens: str, **options: Any) -> IssuedTokens:
    """Authenticate again, which must succeed, and keep the new refresh token, if any."""
    answer = again(holder, *tokens, **options)
    assert answer is not None
    holder.token = answer.refresh_token or holder.token
    return answer


class TestTheRefreshToken:
    def test_rotates_if_it_is_the_current_one_and_the_still_time_is_over(self, holder, clock):
        before = holder.token
        answer = given(holder, before)
        assert (answer.decision, holder.row.generation, answer.access.generation) == (Decision.ROTATE, 2, 2)
        assert holder.row.authenticated_at == clock.now
        assert answer.access.authenticated_at == int(clock.now.timestamp())
        # The token before is that of a parallel request, and gets the same successor.
        assert holder.granted(before).refresh_token == holder.token
        clock.forward(STILL_TIME)
        assert holder.refresh().decision is Decision.ROTATE

    def test_stays_within_the_still_time_and_a_late_request_with_the_one_before_is_answered(self, holder, clock):
        before = holder.token
        holder.refresh()
        clock.forward(5)
        answer = given(holder, holder.token)
        assert (answer.decision, answer.refresh_token, holder.row.generation) == (Decision.REPEAT, None, 2)
        assert holder.row.authenticated_at == clock.now
        assert holder.granted(before).decision is Decision.REPEAT

    def test_is_sent_again_if_the_response_with_it_was_lost(self, holder, clock):
        lost = holder.granted().refresh_token
        clock.forward(GRACE)
        answer = given(holder, holder.token)
        assert (answer.decision, answer.refresh_token) == (Decision.RECOVER, lost)
        assert holder.events(SecurityEvent.Kind.RECOVERED) == 1
        assert holder.row.authenticated_at == clock.now

    def test_ends_the_session_if_it_proves_a_theft(self, holder, clock):
        stolen = holder.token
        for _ in range(2):
            clock.forward(STILL_TIME)
            holder.refresh()
        signed_in_at = holder.row.authenticated_at
        assert again(holder, stolen) is None
        assert holder.ending == (RefreshToken.Reason.REUSE, 1)
        assert holder.row.authenticated_at == signed_in_at
        assert holder.events(SecurityEvent.Kind.REAUTHENTICATED) == 0

    def test_of_a_lost_rotation_begins_its_generation(self, holder):
        before = holder.row
        holder.refresh()
        holder.put_back(generation=before.generation, since=before.since)
        assert given(holder, holder.token).decision is Decision.CATCH_UP
        assert holder.row.generation == 2

    def test_counts_if_it_is_the_newest_of_several(self, holder):
        assert given(holder, holder.first, holder.token).decision is Decision.ROTATE

    @pytest.mark.parametrize("which", ["none", "another session's", "of another mode", "no token of ours"])
    def test_changes_nothing_if_it_is(self, holder, which):
        tokens = {"none": [], "another session's": [Holder(UserFactory()).token], "no token of ours": ["x"]}
        mode = BODY if which == "of another mode" else COOKIE
        answer = given(holder, *tokens.get(which, [holder.token]), mode=mode)
        assert (answer.decision, answer.refresh_token, answer.access.generation) == (None, None, None)
        assert holder.row.generation == 1
        assert holder.refresh().decision is Decision.ROTATE

    def test_of_a_session_that_is_bound_to_its_device_changes_nothing(self, holder, clock):
        holder.put_back(bound_at=clock.now)
        answer = given(holder, holder.token)
        assert (answer.decision, answer.refresh_token, holder.row.generation) == (None, None, 1)
        assert holder.row.authenticated_at == clock.now

    def test_names_the_generation_that_the_same_request_has_got(self, holder):
        assert given(holder, generation=1).access.generation == 1

    def test_ends_the_earlier_sessions_on_the_device_by_the_first_rotation(self, clock):
        earlier = Holder(UserFactory())
        clock.forward(1)
        later = earlier.sign_in_again()
        given(later, later.token)
        assert earlier.row.revoked_reason == RefreshToken.Reason.SUPERSEDED
        assert later.row.generation == 1


def test_both_timeouts_begin_again(holder, clock):
    """`tests.tokens.service.test_lifetimes` tests them where nothing rotates, and those that were limited."""
    clock.forward(10 * 86400)
    given(holder, holder.token)
    found, row = token_settings(), holder.row
    assert row.idle_expires_at == clock.now + found.idle_lifetime
    assert row.expires_at == clock.now + found.absolute_lifetime


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_comes_first_is_followed(holder, monkeypatch, clock):
    """The row is decided on again. What the user has proved is not lost, and neither is the rotation."""
    original, decided = refreshing.carry_out, []

    def overtaken(*args: Any, **options: Any) -> Any:
        decided.append(1)
        if len(decided) == 1:
            with in_thread(lambda: query("UPDATE tokens_refreshtoken SET generation = 2")):
                pass
        return original(*args, **options)

    monkeypatch.setattr(refreshing, "carry_out", overtaken)
    answer = given(holder, holder.token)
    assert (answer.decision, len(decided)) == (Decision.RECOVER, 2)
    assert (holder.row.generation, holder.row.authenticated_at) == (2, clock.now)
