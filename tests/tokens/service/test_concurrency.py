"""Real concurrency: several processes, many threads, one row. Nothing here is simulated.

Each test says in the report (``-s``, and properties of the JUnit file) what it counted.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from itertools import chain
from threading import Barrier, Thread
from typing import Any, ClassVar

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import Databases
from tests.factories import UserFactory
from tests.tokens.devices import OFFERED, KeyHolder
from tests.tokens.service.holders import Holder
from tests.tokens.service.processes import Process, WebServer, together, url_of
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service.client import Client, digest_of_device_token, new_device_token
from tokens.service.grants import Grant

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES, THREADS = 4, 60
DEMO, DEMO_PASSWORD = "demo@latchkey.test", "latchkey-demo"
_Reason = RefreshToken.Reason

Report = Callable[..., None]


@pytest.fixture(scope="module")
def url(database: str, databases: Databases, django_db_blocker: DjangoDbBlocker) -> str:
    """Where other processes find the database of this run, which is there before they look."""
    with django_db_blocker.unblock():
        databases.use(database)
    return url_of(connections["default"].settings_dict)


@pytest.fixture(scope="module")
def processes(url: str) -> Iterator[list[Process]]:
    """Processes that outlive a test; they are gone before the database is."""
    found = [Process(url) for _ in range(PROCESSES)]
    yield found
    for process in found:
        process.stop()


@pytest.fixture
def report(
    request: pytest.FixtureRequest, database: str, record_property: Callable[[str, object], None]
) -> Iterator[Report]:
    """Keeps the figures of a test where somebody can quote them."""
    began = time.perf_counter()

    def write(**figures: object) -> None:
        figures["seconds"] = round(time.perf_counter() - began, 2)
        for name, value in figures.items():
            record_property(name, value)
        line = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
        sys.stdout.write(f"\n{database}: {request.node.originalname}: {line}\n")

    return write


def in_all(processes: list[Process], job: str, *arguments: Any, threads: int = THREADS, **tokens: Any) -> list[Any]:
    """Do the same in so many threads of each process, all at once."""
    for process in processes:
        process.prepare(job, [arguments] * threads, **tokens)
    return list(chain.from_iterable(together(processes)))


class TestOneTokenPresentedByManyAtOnce:
    def test_is_rotated_once_and_has_one_successor(self, processes, report):
        holder = Holder(UserFactory())
        answers = in_all(processes, "refresh", holder.token)
        successors = {answer["successor"] for answer in answers}
        report(
            refreshes=len(answers),
            processes=PROCESSES,
            granted=sum(answer["granted"] for answer in answers),
            successors=len(successors),
            rotations=holder.row.generation,
        )
        assert len(answers) >= 200
        assert all(answer["granted"] for answer in answers)
        assert len(successors) == 1
        assert None not in successors
        assert {answer["generation"] for answer in answers} == {1}
        assert holder.row.generation == 1
        assert holder.row.revoked_at is None
        assert RefreshToken.objects.count() == 1
        assert not Revocation.objects.exists()
        assert not SecurityEvent.objects.exclude(kind__in=["signed_in", "new_device"]).exists()

    def test_the_successor_that_all_were_given_works(self, processes):
        holder = Holder(UserFactory())
        holder.token = in_all(processes, "refresh", holder.token, threads=5)[0]["successor"]
        holder.put_back(since=timezone.now() - timedelta(minutes=5))
        answers = in_all(processes, "refresh", holder.token)
        assert {answer["generation"] for answer in answers} == {2}
        assert len({answer["successor"] for answer in answers}) == 1
        assert holder.row.generation == 2

    def test_is_recovered_once_when_its_answer_was_lost(self, processes, report):
        holder = Holder(UserFactory())
        lost = holder.present()
        holder.put_back(since=timezone.now() - timedelta(hours=1))
        answers = in_all(processes, "refresh", holder.first)
        row = holder.row
        report(refreshes=len(answers), generation=row.generation, recovered=row.recovered, recoveries=row.recoveries)
        assert {answer["successor"] for answer in answers} == {getattr(lost, "refresh_token", None)}
        assert (row.generation, row.recovered, row.recoveries) == (1, 1, 1)
        assert holder.events(SecurityEvent.Kind.RECOVERED) == 1

    def test_when_strict_works_once_and_then_ends_the_session(self, processes, report):
        holder = Holder(UserFactory())
        answers = in_all(processes, "refresh", holder.token, REUSE_GRACE=0)
        granted = [answer for answer in answers if answer["granted"]]
        report(refreshes=len(answers), granted=len(granted), ended_as=holder.row.revoked_reason)
        assert len(granted) == 1
        assert holder.row.generation == 1
        assert holder.row.revoked_reason == _Reason.REUSE
        assert holder.events(SecurityEvent.Kind.REUSE_DETECTED) == 1
        assert holder.revocations() == 1
        assert holder.is_refused(granted[0]["successor"])

    def test_that_was_used_long_ago_ends_the_session_once(self, processes):
        holder = Holder(UserFactory())
        holder.put_back(generation=5, since=timezone.now())
        answers = in_all(processes, "refresh", holder.first)
        assert not any(answer["granted"] for answer in answers)
        assert holder.row.revoked_reason == _Reason.REUSE
        assert holder.events(SecurityEvent.Kind.REUSE_DETECTED) == 1
        assert holder.revocations() == 1

    def test_and_acknowledged_meanwhile_is_rotated_once(self, processes):
        holder = Holder(UserFactory())
        for process in processes[:2]:
            process.prepare("refresh", [[holder.token]] * THREADS)
        for process in processes[2:]:
            process.prepare("acknowledge", [[str(holder.id), generation] for generation in (0, 1)] * 10)
        refreshed = list(chain.from_iterable(together(processes)[:2]))
        assert {answer["generation"] for answer in refreshed} == {1}
        assert len({answer["successor"] for answer in refreshed}) == 1


@pytest.mark.at_length_on("sqlite")
class TestOneProofPresentedByManyAtOnce:
    @pytest.fixture
    def pending(self, settings: Any) -> KeyHolder:
        """A session whose key is registered."""
        settings.TOKENS = OFFERED
        holder = KeyHolder(UserFactory())
        holder.register()
        return holder

    def test_is_good_once_and_the_others_are_asked_to_sign_anew(self, pending, processes, report):
        for generation in (1, 2):
            answers = Counter(in_all(processes, "prove", str(pending.id), pending.proof(), **OFFERED))
            report(proofs=answers.total(), generation=generation, **answers)
            assert answers == {"Grant": 1, "Challenge": PROCESSES * THREADS - 1}
            assert pending.row.generation == generation
        assert pending.events(SecurityEvent.Kind.BOUND) == 1
        assert pending.events(SecurityEvent.Kind.UNPROVEN) == 0

    def test_that_is_the_first_and_a_refresh_token_end_in_one_of_both(self, pending, processes, report):
        proofs, tokens = processes[::2], processes[1::2]
        for process in proofs:
            process.prepare("prove", [(str(pending.id), pending.proof())] * THREADS, **OFFERED)
        for process in tokens:
            process.prepare("refresh", [(pending.token,)] * THREADS, **OFFERED)
        answers = list(chain.from_iterable(together([*proofs, *tokens])))
        row = pending.row
        proven = answers.count("Grant")
        rotated = sum(answer["granted"] for answer in answers if isinstance(answer, dict))
        report(answers=len(answers), proven=proven, answered_by_token=rotated, bound=row.bound_at is not None)
        assert (row.generation, row.revoked_at) == (1, None)
        assert proven == (row.bound_at is not None)
        assert rotated == (0 if proven else THREADS * len(tokens))
        assert isinstance(pending.prove(), Grant)
        assert pending.is_refused()


class TestRevoking:
    SESSIONS = 48

    def test_a_session_that_ended_never_comes_back(self, processes, report):
        user = UserFactory()
        holders = [Holder(user, Client("192.0.2.7", f"App {n}")) for n in range(self.SESSIONS)]
        half = self.SESSIONS // 2
        for process, part in zip(processes[:2], (holders[:half], holders[half:]), strict=True):
            process.prepare("refresh", [[holder.token] for holder in part])
        for process, part in zip(processes[2:], (holders[:half], holders[half:]), strict=True):
            process.prepare("end", [[str(holder.id)] for holder in part])
        results = together(processes)
        raced, ended = list(chain(*results[:2])), list(chain(*results[2:]))
        won = sum(answer["granted"] for answer in raced)
        report(sessions=self.SESSIONS, refreshed_before_their_end=won, refused=self.SESSIONS - won)
        assert ended == [1] * self.SESSIONS
        successors = [answer["successor"] for answer in raced if answer["granted"]]
        before = list(RefreshToken.objects.order_by("id").values())
        for process, tokens in zip(processes, ([h.token for h in holders], successors, successors), strict=False):
            process.prepare("refresh", [[token] for token in tokens])
        late = list(chain.from_iterable(together(processes[:3])))
        assert len(late) == self.SESSIONS + 2 * won
        assert not any(answer["granted"] for answer in late)
        assert list(RefreshToken.objects.order_by("id").values()) == before
        assert not RefreshToken.objects.live().exists()
        assert Revocation.objects.count() == self.SESSIONS

    def test_the_same_session_from_everywhere_is_written_once(self, processes, report):
        holder = Holder(UserFactory())
        ended = in_all(processes, "end", str(holder.id))
        report(attempts=len(ended), revocations=holder.revocations())
        assert Counter(ended) == {1: 1, 0: PROCESSES * THREADS - 1}
        assert holder.revocations() == 1
        assert holder.events(SecurityEvent.Kind.REVOKED) == 1


@pytest.mark.at_length_on("sqlite")
class TestSigningIn:
    def test_at_once_on_one_device_opens_living_sessions_of_that_device(self, processes, report):
        user = UserFactory()
        token = Holder(user).grant.device_token
        opened = in_all(processes, "sign_in", str(user.pk), token, threads=10)
        report(sign_ins=len(opened), live_sessions=RefreshToken.objects.live().count())
        assert Device.objects.count() == 1
        assert RefreshToken.objects.live().count() == len(opened) + 1

    def test_at_once_for_the_first_time_on_somebody_elses_device_makes_one_device(self, processes):
        """A double click on "sign in", in a browser that another user had signed in with."""
        other, user = Holder(UserFactory()), UserFactory()
        opened = in_all(processes, "sign_in", str(user.pk), other.grant.device_token, threads=10)
        assert len({session["device"] for session in opened}) == 1
        assert Device.objects.filter(user=user).count() == 1
        assert other.row.revoked_reason == _Reason.SUPERSEDED
        assert other.revocations() == 1

    def test_at_once_leaves_no_more_sessions_than_allowed_after_the_next(self, processes):
        user = UserFactory()
        in_all(processes, "sign_in", str(user.pk), threads=10, MAX_SESSIONS=5)
        processes[0].run("sign_in", str(user.pk), MAX_SESSIONS=5)
        assert RefreshToken.objects.live().count() == 5

    def test_then_refreshing_at_once_leaves_the_latest_session_alone(self, processes):
        user, token = UserFactory(), new_device_token()
        Device.objects.create(
            user=user, token_digest=digest_of_device_token(token), name="Firefox", created_at=timezone.now()
        )
        clicks = [Holder(user, Client("192.0.2.7", "Firefox", token)) for _ in range(3)]
        answers = in_all(processes, "refresh", clicks[-1].token, threads=10)
        assert len({answer["successor"] for answer in answers}) == 1
        assert [click.row.revoked_reason for click in clicks] == [_Reason.SUPERSEDED, _Reason.SUPERSEDED, ""]
        assert [click.revocations() for click in clicks] == [1, 1, 0]


@pytest.mark.at_length_on("sqlite")
class TestPurging:
    ENDED, LIVE = 300, 40
    SOON: ClassVar[dict[str, Any]] = {"SESSION_RETENTION": 1}
    """Seconds: so that sessions are looked at whose ids are of today."""

    @pytest.fixture
    def ended(self) -> None:
        """Sessions that ended long ago, each the only one of its device, and what speaks of them."""
        user, long_ago = UserFactory(), timezone.now() - timedelta(days=500)
        devices = Device.objects.bulk_create(
            Device(user=user, token_digest=n.to_bytes(32), name="Firefox", created_at=long_ago)
            for n in range(self.ENDED)
        )
        RefreshToken.objects.bulk_create(
            RefreshToken(
                user=user,
                device=device,
                mode="cookie",
                secret_digest=bytes(32),
                since=long_ago,
                created_at=long_ago,
                authenticated_at=long_ago,
                idle_expires_at=long_ago,
                expires_at=long_ago,
                auth_hash_digest=bytes(32),
                user_agent_digest=bytes(8),
            )
            for device in devices
        )
        Revocation.objects.bulk_create(Revocation(session_id=device.id, created_at=long_ago) for device in devices)
        SecurityEvent.objects.bulk_create(
            SecurityEvent(kind="revoked", user=user, session_id=device.id, created_at=long_ago) for device in devices
        )

    def test_twice_at_once_deletes_each_row_once(self, processes, ended, report):
        deleted = in_all(processes, "purge", 20, threads=1, **self.SOON)
        report(purges=len(deleted), deleted=[found["sessions"] for found in deleted])
        sums = {kind: sum(found[kind] for found in deleted) for kind in deleted[0]}
        assert sums == {"sessions": self.ENDED, "events": self.ENDED, "revocations": self.ENDED}
        assert not RefreshToken.objects.exists()
        assert not Device.objects.exists()
        assert not SecurityEvent.objects.exists()
        assert not Revocation.objects.exists()

    def test_disturbs_no_refresh_and_takes_no_living_session(self, processes, ended, report):
        user = UserFactory()
        living = [Holder(user) for _ in range(self.LIVE)]
        for process in processes[:2]:
            process.prepare("purge", [[10]], **self.SOON)
        for process in processes[2:]:
            process.prepare("refresh", [[holder.token] for holder in living])
        results = together(processes)
        refreshed = list(chain(*results[2:]))
        report(refreshes=len(refreshed), deleted=[found[0]["sessions"] for found in results[:2]])
        assert all(answer["granted"] for answer in refreshed)
        assert set(RefreshToken.objects.values_list("id", flat=True)) == {holder.id for holder in living}
        assert {holder.row.generation for holder in living} == {1}
        assert Device.objects.count() == self.LIVE

    def test_leaves_the_device_of_whoever_signs_in_meanwhile(self, processes):
        """The device's last session is being purged while its owner comes back."""
        user, long_ago = UserFactory(), timezone.now() - timedelta(days=500)
        gone = [Holder(user) for _ in range(30)]
        for holder in gone:
            holder.put_back(idle_expires_at=long_ago)
        tokens = [holder.grant.device_token for holder in gone]
        processes[0].prepare("sign_in", [[str(user.pk), token] for token in tokens])
        for process in processes[1:]:
            process.prepare("purge", [[3]], **self.SOON)
        opened, *_ = together(processes)
        assert {session["session"] for session in opened} == {
            str(id) for id in RefreshToken.objects.values_list("id", flat=True)
        }
        assert {session["device"] for session in opened} == {
            str(id) for id in Device.objects.values_list("id", flat=True)
        }


@pytest.mark.at_length_on("sqlite")
class TestOverHTTP:
    REQUESTS = 200

    @pytest.fixture
    def servers(self, url: str) -> Iterator[list[WebServer]]:
        """Two servers on one database, as behind a load balancer."""
        found = [WebServer(url) for _ in range(2)]
        yield found
        for server in found:
            server.stop()

    def test_two_hundred_refreshes_at_once_are_all_answered_with_one_cookie(self, servers, report):
        UserFactory(email=DEMO, password=DEMO_PASSWORD)
        _, cookies = _post(servers[0], "login", {}, f'{{"email": "{DEMO}", "password": "{DEMO_PASSWORD}"}}')
        barrier = Barrier(self.REQUESTS)
        answers: list[tuple[int, dict[str, str]]] = []

        def work(server: WebServer) -> None:
            barrier.wait()
            answers.append(_post(server, "refresh", cookies))

        threads = [Thread(target=work, args=[servers[n % len(servers)]]) for n in range(self.REQUESTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = Counter(status for status, _ in answers)
        values = {given.get("__Host-refresh") for _, given in answers}
        row = RefreshToken.objects.get()
        report(
            requests=len(answers),
            servers=len(servers),
            statuses=dict(statuses),
            refresh_cookies=len(values),
            generation=row.generation,
        )
        assert statuses == {200: self.REQUESTS}
        assert len(values) == 1
        assert values.isdisjoint({None, cookies["__Host-refresh"]})
        assert row.generation == 1
        assert row.revoked_at is None


def _post(server: WebServer, view: str, cookies: dict[str, str], body: str = "") -> tuple[int, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Host": "testserver", "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    if body:
        headers["Content-Type"] = "application/json"
    connection.request("POST", f"/api/auth/{view}", body, headers)
    response = connection.getresponse()
    given: SimpleCookie = SimpleCookie()
    for name, value in response.getheaders():
        if name.lower() == "set-cookie":
            given.load(value)
    response.read()
    connection.close()
    return response.status, {name: morsel.value for name, morsel in given.items()}
