"""Real concurrency: several processes with many threads work on the same rows. Nothing is simulated."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import Databases
from tests.factories import UserFactory
from tests.tokens.devices import OFFERED, KeyHolder
from tests.tokens.service.holders import Holder
from tests.tokens.service.processes import Process, several, together, url_of
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service.client import Client
from tokens.service.devices import digest_of, new_token
from tokens.service.issuing import IssuedTokens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

PROCESSES, THREADS = 4, 60
_Reason = RefreshToken.Reason


@pytest.fixture(scope="module")
def url(database: str, databases: Databases, django_db_blocker: DjangoDbBlocker) -> str:
    """The URL of the test's database. It is created here, because other processes would not find it otherwise."""
    with django_db_blocker.unblock():
        databases.use(database)
    return url_of(connections["default"].settings_dict)


@pytest.fixture(scope="module")
def processes(url: str) -> Iterator[list[Process]]:
    """Several processes. Within one process, a lock in Python could hide that the database lets two requests win."""
    yield from several(url, PROCESSES)


def in_all(processes: list[Process], job: str, *arguments: Any, threads: int = THREADS, **tokens: Any) -> list[Any]:
    """Run the same job in so many threads of each process, all at the same time. Return all results."""
    for process in processes:
        process.prepare(job, [arguments] * threads, **tokens)
    return list(chain.from_iterable(together(processes)))


def assert_all_granted(answers: list[dict[str, Any]], generation: int) -> str:
    """Assert that all requests were granted the same refresh token, of this generation, and return it."""
    assert {answer["generation"] for answer in answers} == {generation}
    [successor] = {answer["successor"] for answer in answers}
    assert successor is not None
    return successor


class TestParallelRequestsWithOneToken:
    def test_rotate_it_once_and_get_one_successor_which_works(self, processes):
        holder = Holder(UserFactory())
        for generation in (1, 2):
            answers = in_all(processes, "refresh", holder.token)
            assert len(answers) >= 200
            holder.token = assert_all_granted(answers, generation)
            assert (holder.row.generation, holder.ending) == (generation, ("", 0))
            holder.put_back(since=timezone.now() - timedelta(minutes=5))
        assert RefreshToken.objects.count() == 1
        assert not SecurityEvent.objects.exclude(kind__in=["signed_in", "new_device"]).exists()

    def test_recover_it_once_when_its_response_was_lost(self, processes):
        holder = Holder(UserFactory())
        lost = holder.granted().refresh_token
        holder.put_back(since=timezone.now() - timedelta(hours=1))
        answers = in_all(processes, "refresh", holder.first)
        row = holder.row
        assert assert_all_granted(answers, 1) == lost
        assert (row.generation, row.recovered, row.recoveries) == (1, 1, 1)
        assert holder.events(SecurityEvent.Kind.RECOVERED) == 1

    def test_in_strict_mode_are_granted_once_and_then_end_the_session(self, processes):
        holder = Holder(UserFactory())
        answers = in_all(processes, "refresh", holder.token, REUSE_GRACE=0)
        granted = [answer for answer in answers if answer["granted"]]
        assert len(granted) == holder.row.generation == 1
        assert holder.ending == (_Reason.REUSE, 1)
        assert holder.events(SecurityEvent.Kind.REUSE_DETECTED) == 1
        assert holder.is_refused(granted[0]["successor"])

    def test_rotate_it_once_even_if_it_is_acknowledged_meanwhile(self, processes):
        holder = Holder(UserFactory())
        for process in processes[:2]:
            process.prepare("refresh", [[holder.token]] * THREADS)
        for process in processes[2:]:
            process.prepare("acknowledge", [[str(holder.id), generation] for generation in (0, 1)] * 10)
        assert_all_granted(list(chain.from_iterable(together(processes)[:2])), 1)


@pytest.mark.at_length_on("sqlite")
class TestParallelRequestsWithOneProof:
    @pytest.fixture
    def pending(self, settings: Any) -> KeyHolder:
        """A session whose key is registered, but not proven. Otherwise no test would see parallel first proofs."""
        settings.TOKENS = OFFERED
        holder = KeyHolder(UserFactory())
        holder.register()
        return holder

    def test_are_granted_once_and_the_others_have_to_sign_again(self, pending, processes):
        for generation in (1, 2):
            answers = Counter(in_all(processes, "prove", str(pending.id), pending.proof(), **OFFERED))
            assert answers == {"IssuedTokens": 1, "Challenge": PROCESSES * THREADS - 1}
            assert pending.row.generation == generation
        kinds = SecurityEvent.Kind.BOUND, SecurityEvent.Kind.UNPROVEN
        assert [pending.events(kind) for kind in kinds] == [1, 0]

    def test_that_is_the_first_beside_requests_with_the_refresh_token_let_one_of_them_win(self, pending, processes):
        proofs, tokens = processes[::2], processes[1::2]
        for process in proofs:
            process.prepare("prove", [(str(pending.id), pending.proof())] * THREADS, **OFFERED)
        for process in tokens:
            process.prepare("refresh", [(pending.token,)] * THREADS, **OFFERED)
        answers = list(chain.from_iterable(together([*proofs, *tokens])))
        row = pending.row
        proven = answers.count("IssuedTokens")
        rotated = sum(answer["granted"] for answer in answers if isinstance(answer, dict))
        assert (row.generation, row.revoked_at) == (1, None)
        assert proven == (row.bound_at is not None)
        assert rotated == (0 if proven else THREADS * len(tokens))
        assert isinstance(pending.prove(), IssuedTokens)
        assert pending.is_refused()


class TestRevoking:
    SESSIONS = 48

    def test_a_session_that_ended_never_becomes_valid_again(self, processes):
        user = UserFactory()
        holders = [Holder(user, Client("192.0.2.7", f"App {n}")) for n in range(self.SESSIONS)]
        for number, part in enumerate((holders[::2], holders[1::2])):
            processes[number].prepare("refresh", [[holder.token] for holder in part])
            processes[number + 2].prepare("end", [[str(holder.id)] for holder in part])
        results = together(processes)
        successors = [answer["successor"] for answer in chain(*results[:2]) if answer["granted"]]
        won = len(successors)
        assert list(chain(*results[2:])) == [1] * self.SESSIONS
        before = list(RefreshToken.objects.order_by("id").values())
        for process, tokens in zip(processes, ([h.token for h in holders], successors, successors), strict=False):
            process.prepare("refresh", [[token] for token in tokens])
        late = list(chain.from_iterable(together(processes[:3])))
        assert len(late) == self.SESSIONS + 2 * won
        assert not any(answer["granted"] for answer in late)
        assert list(RefreshToken.objects.order_by("id").values()) == before
        assert not RefreshToken.objects.live().exists()
        assert Revocation.objects.count() == self.SESSIONS

    def test_one_session_in_many_requests_is_written_once(self, processes):
        holder = Holder(UserFactory())
        ended = in_all(processes, "end", str(holder.id))
        assert Counter(ended) == {1: 1, 0: PROCESSES * THREADS - 1}
        assert holder.ending == (_Reason.SIGNED_OUT, 1)
        assert holder.events(SecurityEvent.Kind.REVOKED) == 1


@pytest.mark.at_length_on("sqlite")
class TestParallelSignIns:
    def test_on_one_device_open_live_sessions_of_that_device(self, processes):
        holder = Holder(UserFactory())
        opened = in_all(processes, "sign_in", str(holder.user.pk), holder.issued.device_token, threads=10)
        assert Device.objects.count() == 1
        assert RefreshToken.objects.live().count() == len(opened) + 1

    def test_for_the_first_time_on_another_users_device_create_one_device(self, processes):
        """For example a double click on "sign in" in a browser in which another user is signed in."""
        other, user = Holder(UserFactory()), UserFactory()
        opened = in_all(processes, "sign_in", str(user.pk), other.issued.device_token, threads=10)
        assert len({session["device"] for session in opened}) == 1
        assert Device.objects.filter(user=user).count() == 1
        assert other.ending == (_Reason.SUPERSEDED, 1)

    def test_leave_no_more_sessions_than_allowed_after_the_next_sign_in(self, processes):
        user = UserFactory()
        in_all(processes, "sign_in", str(user.pk), threads=10, MAX_SESSIONS=5)
        processes[0].run("sign_in", str(user.pk), MAX_SESSIONS=5)
        assert RefreshToken.objects.live().count() == 5

    def test_and_parallel_refreshes_after_them_leave_the_latest_session_live(self, processes):
        user, token = UserFactory(), new_token()
        digest = digest_of(token)
        Device.objects.create(user=user, token_digest=digest, name="Firefox", created_at=timezone.now())
        clicks = [Holder(user, Client("192.0.2.7", "Firefox", token)) for _ in range(3)]
        assert_all_granted(in_all(processes, "refresh", clicks[-1].token, threads=10), 1)
        assert [click.ending for click in clicks] == [(_Reason.SUPERSEDED, 1), (_Reason.SUPERSEDED, 1), ("", 0)]


@pytest.mark.at_length_on("sqlite")
class TestPurging:
    ENDED = 300
    SOON = {"SESSION_RETENTION": 1}
    """Seconds. With the default, a purge would skip sessions whose ids are of today."""

    @pytest.fixture
    def ended(self) -> None:
        """Old rows, each session the only one of its device. Without them, a purge would have nothing to delete."""
        user, old = UserFactory(), timezone.now() - timedelta(days=500)
        row = {"user": user, "created_at": old}
        devices = Device.objects.bulk_create(
            Device(token_digest=n.to_bytes(32), name="Firefox", **row) for n in range(self.ENDED)
        )
        digests = {"secret_digest": bytes(32), "auth_hash_digest": bytes(32), "user_agent_digest": bytes(8)}
        times = dict.fromkeys(["since", "authenticated_at", "idle_expires_at", "expires_at"], old)
        RefreshToken.objects.bulk_create(
            RefreshToken(device=device, mode="cookie", **digests, **times, **row) for device in devices
        )
        Revocation.objects.bulk_create(Revocation(session_id=device.id, created_at=old) for device in devices)
        SecurityEvent.objects.bulk_create(
            SecurityEvent(kind="revoked", session_id=device.id, **row) for device in devices
        )

    def test_in_several_processes_deletes_each_row_once(self, processes, ended):
        deleted = in_all(processes, "purge", 20, threads=1, **self.SOON)
        sums = {kind: sum(found[kind] for found in deleted) for kind in deleted[0]}
        assert sums == {"sessions": self.ENDED, "events": self.ENDED, "revocations": self.ENDED}
        assert [table.objects.count() for table in (RefreshToken, Device, SecurityEvent, Revocation)] == [0] * 4

    def test_keeps_the_device_of_a_user_who_signs_in_meanwhile(self, processes):
        """The last session of the device is purged while its user signs in again."""
        user, old = UserFactory(), timezone.now() - timedelta(days=500)
        holders = [Holder(user) for _ in range(30)]
        RefreshToken.objects.update(idle_expires_at=old)
        processes[0].prepare("sign_in", [[str(user.pk), holder.issued.device_token] for holder in holders])
        for process in processes[1:]:
            process.prepare("purge", [[3]], **self.SOON)
        opened, *_ = together(processes)
        for table, name in ((RefreshToken, "session"), (Device, "device")):
            assert {row[name] for row in opened} == {str(id) for id in table.objects.values_list("id", flat=True)}
