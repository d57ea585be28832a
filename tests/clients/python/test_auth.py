"""`LatchkeyAuth` with a real server: one refresh for all, lost answers, theft, outages, and where tokens are sent."""

import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from django.utils import timezone

from latchkey_client import LatchkeyAuth, LatchkeyError, SignInRefused, SignInRequired, StoreFailed, Unavailable
from latchkey_client.stores import FileStore
from tests.clients.projects import clean_environment
from tests.clients.python.network import REFRESH, stranger
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

ME, SESSIONS = "/api/auth/me", "/api/auth/sessions"
LIFETIME = 600
WRONG = "a secret of somebody"
SOURCE = Path(__file__).parents[3] / "clients" / "python" / "src"
PARALLEL = 12
ANOTHER_PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import httpx
from latchkey_client import FileStore, LatchkeyAuth

origin, path, parallel = sys.argv[1], sys.argv[2], int(sys.argv[3])
with httpx.Client(auth=LatchkeyAuth(origin, FileStore(path)), base_url=origin, timeout=60) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(parallel) as threads:
        print(sorted({r.status_code for r in threads.map(lambda _: client.get("/api/auth/me"), range(parallel))}))
"""


def client_of(auth: LatchkeyAuth, proxy: Any, **options: Any) -> httpx.Client:
    return httpx.Client(auth=auth, base_url=proxy.origin, timeout=60, **options)


def me(auth: LatchkeyAuth, proxy: Any) -> int:
    with client_of(auth, proxy) as client:
        return client.get(ME).status_code


def expired_for_the_server(auth: LatchkeyAuth, store: FileStore, server: Any) -> None:
    """Replace the access token by one that the server calls expired, and that the client thinks is valid."""
    tokens = store.load()
    assert tokens
    store.save(replace(tokens, access_token=server.minted(age=2 * LIFETIME)))
    auth._tokens = None


def in_threads(auth: LatchkeyAuth, proxy: Any) -> set[int]:
    with client_of(auth, proxy) as client, ThreadPoolExecutor(PARALLEL) as threads:
        return {response.status_code for response in threads.map(lambda _: client.get(ME), range(PARALLEL))}


def in_tasks(backend: str) -> Callable[[LatchkeyAuth, Any], set[int]]:
    async def ask(auth: LatchkeyAuth, proxy: Any) -> set[int]:
        found: set[int] = set()

        async def once(client: httpx.AsyncClient) -> None:
            found.add((await client.get(ME)).status_code)

        client = httpx.AsyncClient(auth=auth, base_url=proxy.origin, timeout=60)
        async with client, anyio.create_task_group() as tasks:
            for _ in range(PARALLEL):
                tasks.start_soon(once, client)
        return found

    return lambda auth, proxy: anyio.run(ask, auth, proxy, backend=backend)


def in_two_processes(auth: LatchkeyAuth, proxy: Any) -> set[int]:
    command = [sys.executable, "-c", ANOTHER_PROCESS, proxy.origin, str(auth._store.path), str(PARALLEL // 2)]  # type: ignore[attr-defined]
    pipe, environment = subprocess.PIPE, clean_environment(PYTHONPATH=str(SOURCE))
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(2)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0] for process in processes]
    return {int(code) for text in printed for code in text.strip()[1:-1].split(",")}


class TestASession:
    def test_begins_with_a_sign_in_and_ends_with_a_sign_out(self, auth, proxy, store):
        assert (auth.is_signed_in, me(auth, proxy), proxy.refreshes) == (True, 200, 0)
        auth.sign_out()
        assert not RefreshToken.objects.filter(revoked_at=None).exists()
        assert not auth.is_signed_in
        with pytest.raises(SignInRequired):
            me(auth, proxy)

    def test_is_taken_over_by_its_refresh_token(self, auth, proxy, store):
        found = LatchkeyAuth(proxy.origin)
        found.adopt(store.load().refresh_token)
        assert (me(found, proxy), proxy.refreshes) == (200, 1)

    def test_begins_without_blocking_the_event_loop(self, proxy):
        auth, email = LatchkeyAuth(proxy.origin), UserFactory().email

        async def run() -> int:
            await auth.sign_in_async(email=email, password=PASSWORD)
            async with httpx.AsyncClient(auth=auth, base_url=proxy.origin) as client:
                status = (await client.get(ME)).status_code
            await auth.sign_out_async()
            return status

        assert (anyio.run(run), auth.is_signed_in) == (200, False)

    def test_of_a_known_device_begins_as_one_of_this_device(self, auth, proxy, clock):
        email, device = RefreshToken.objects.get().user.email, RefreshToken.objects.get().device_id
        auth.sign_out()
        auth.sign_in(email=email, password=PASSWORD)
        assert RefreshToken.objects.get(revoked_at=None).device_id == device

    @pytest.mark.parametrize(
        ("given", "code"),
        [({"password": "wrong"}, "invalid_credentials"), ({"password": PASSWORD, "device_name": "x" * 500}, "invalid")],
        ids=["a wrong password", "a name that is too long"],
    )
    def test_does_not_begin_with_what_the_server_refuses(self, given, code, proxy, store):
        with pytest.raises(SignInRefused) as raised:
            LatchkeyAuth(proxy.origin, store).sign_in(email=UserFactory().email, **given)
        assert (raised.value.code, store.load()) == (code, None)
        assert ("device_name" in str(raised.value)) is (code == "invalid")


class TestARefresh:
    @pytest.mark.parametrize(
        "ask",
        [in_threads, in_tasks("asyncio"), in_tasks("trio"), in_two_processes],
        ids=["threads", "tasks of asyncio", "tasks of trio", "two processes"],
    )
    def test_is_one_for_all_parallel_requests(self, ask, auth, proxy, store):
        store.save(replace(store.load(), expires_at=0.0))
        auth._tokens = None
        assert (ask(auth, proxy), proxy.refreshes, RefreshToken.objects.get().generation) == ({200}, 1, 1)

    def test_also_if_only_the_server_knows_that_the_token_has_expired(self, auth, proxy, store, server):
        expired_for_the_server(auth, store, server)
        assert (in_threads(auth, proxy), proxy.refreshes) == ({200}, 1)

    def test_gives_no_new_refresh_token_soon_after_another_and_the_old_one_is_kept(self, auth, proxy, clock):
        for refreshes in (1, 2):
            clock.ahead += LIFETIME
            assert (me(auth, proxy), proxy.refreshes) == (200, refreshes)
        assert RefreshToken.objects.get().generation == 1

    def test_is_repeated_when_its_answer_is_lost(self, auth, proxy, clock):
        clock.ahead += LIFETIME
        proxy.lost = 2
        assert (me(auth, proxy), proxy.refreshes, clock.slept) == (200, 3, [0.25, 0.5])
        assert RefreshToken.objects.get().generation == 1

    def test_is_repeated_by_the_next_run_of_a_program_that_has_ended_meanwhile(self, auth, proxy, clock, store):
        impatient = LatchkeyAuth(proxy.origin, store, patience=0, clock=clock, sleep=clock.sleep)
        clock.ahead += LIFETIME
        proxy.lost = 1
        with pytest.raises(Unavailable, match="RemoteProtocolError"):
            me(impatient, proxy)
        RefreshToken.objects.update(since=timezone.now() - timedelta(hours=1))  # The server's grace is over.
        assert (me(auth, proxy), proxy.refreshes) == (200, 2)

    def test_repeats_the_request_with_its_body(self, auth, proxy, store, server):
        expired_for_the_server(auth, store, server)
        session, body = RefreshToken.objects.get(), {"device_name": "a script"}
        body["refresh_token"] = store.load().refresh_token
        with client_of(auth, proxy) as client:
            answer = client.patch(f"{SESSIONS}/{session.id}", json=body)
        assert answer.json()["device"]["name"] == "a script"

    @pytest.mark.parametrize("remaining", [30, 90], ids="{} seconds before the end".format)
    def test_comes_before_a_stream_that_could_not_be_sent_again(self, remaining, auth, proxy, clock, store):
        clock.ahead += store.load().remaining(clock()) - remaining
        with client_of(auth, proxy) as client:
            client.post("/api/auth/logout", content=iter([b"{}"]))
        assert proxy.refreshes == (remaining == 30)

    def test_comes_after_such_a_stream_which_is_not_sent_twice(self, auth, proxy, store, server):
        expired_for_the_server(auth, store, server)
        with client_of(auth, proxy) as client:
            assert client.post(SESSIONS, content=iter([b"{}"])).json()["code"] == "token_expired"
            assert (proxy.asked.count(SESSIONS), client.get(ME).status_code, proxy.refreshes) == (1, 200, 1)

    def test_that_a_task_does_not_wait_for_is_finished(self, auth, proxy, store, clock):
        clock.ahead += LIFETIME

        async def run() -> None:
            async with httpx.AsyncClient(auth=auth, base_url=proxy.origin) as client:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.get, ME)
                    with anyio.fail_after(30):
                        while not proxy.refreshes:
                            await anyio.sleep(0.001)
                    tasks.cancel_scope.cancel()
                assert (await client.get(ME)).status_code == 200

        anyio.run(run)
        assert proxy.refreshes == 1


class TestTheEnd:
    def test_of_a_session_removes_its_tokens_and_asks_no_more(self, auth, proxy, store, clock):
        revoke_all(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.ahead += LIFETIME
        for _ in range(2):
            with pytest.raises(SignInRequired):
                me(auth, proxy)
        assert (proxy.refreshes, store.load().refresh_token) == (1, "")

    def test_comes_for_thief_and_client_when_a_copied_token_is_used_twice(self, auth, proxy, store, clock):
        thief = LatchkeyAuth(proxy.origin, clock=clock, sleep=clock.sleep)
        thief.adopt(store.load().refresh_token)
        clock.ahead += LIFETIME
        assert me(auth, proxy) == 200
        RefreshToken.objects.update(since=timezone.now() - timedelta(hours=1), acknowledged=True)
        with pytest.raises(SignInRequired):
            me(thief, proxy)
        clock.ahead += LIFETIME
        with pytest.raises(SignInRequired):
            me(auth, proxy)
        assert not auth.is_signed_in

    def test_is_not_believed_of_another_answer_with_401(self, auth, proxy, clock):
        proxy.own[ME] = [(401, {})]
        assert (me(auth, proxy), auth.is_signed_in, proxy.refreshes) == (401, True, 0)


class TestAnOutage:
    @pytest.mark.parametrize("status", [503, 429])
    def test_is_waited_for_as_long_as_the_server_says(self, status, auth, proxy, clock):
        clock.ahead += LIFETIME
        proxy.own[REFRESH] = [(status, {"Retry-After": "7"})]
        assert (me(auth, proxy), clock.slept) == (200, [7])

    def test_that_lasts_too_long_is_reported_and_the_server_is_left_in_peace(self, auth, proxy, clock):
        clock.ahead += LIFETIME
        proxy.own[REFRESH] = [(429, {"Retry-After": "40"})]
        for retry_after in (40, 30):
            with pytest.raises(Unavailable) as raised:
                me(auth, proxy)
            assert raised.value.retry_after == pytest.approx(retry_after, abs=9)
            clock.ahead += 10
        assert (proxy.refreshes, clock.slept, auth.is_signed_in) == (1, [], True)
        clock.ahead += 40
        assert me(auth, proxy) == 200

    def test_is_waited_for_once_by_all_threads(self, auth, proxy, clock):
        clock.ahead += LIFETIME
        proxy.own[REFRESH] = [(502, {})] * 50
        with client_of(auth, proxy) as client, ThreadPoolExecutor(4) as threads:
            outcomes = [threads.submit(client.get, ME) for _ in range(4)]
            assert {type(outcome.exception()) for outcome in outcomes} == {Unavailable}
        assert proxy.refreshes < 20

    def test_of_the_store_leaves_the_new_tokens_unused(self, auth, proxy, store, clock, monkeypatch):
        clock.ahead += LIFETIME
        before = store.load()
        with monkeypatch.context() as patch:
            patch.setattr(FileStore, "save", lambda *_: (_ for _ in ()).throw(StoreFailed("full")))
            for _ in range(2):
                with pytest.raises(StoreFailed):
                    me(auth, proxy)
        assert (proxy.asked.count(ME), store.load(), me(auth, proxy)) == (0, before, 200)


class TestTokensAreSentToNobodyElse:
    def test_not_to_another_origin(self, auth, proxy):
        with stranger() as (origin, seen), client_of(auth, proxy) as client:
            assert client.get(f"{origin}/").status_code == 401
        assert "authorization" not in seen[0].lower()

    def test_but_to_those_that_are_listed(self, proxy, store, auth):
        with stranger() as (origin, seen):
            listing = LatchkeyAuth(proxy.origin, store, origins=[origin])
            assert httpx.get(f"{origin}/", auth=listing).status_code == 401
        assert f"Bearer {store.load().access_token}" in seen[0] or f"Bearer {store.load().access_token}" in seen[1]

    def test_not_after_a_redirect_whose_401_means_nothing(self, auth, proxy, store):
        with stranger() as (origin, seen), client_of(auth, proxy, follow_redirects=True) as client:
            proxy.own[ME] = [(307, {"Location": f"{origin}/"})]
            assert client.get(ME).status_code == 401
        assert (len(seen), "authorization" in seen[0].lower(), proxy.refreshes) == (1, False, 0)

    def test_not_when_a_refresh_is_redirected(self, auth, proxy, clock):
        clock.ahead += LIFETIME
        with stranger() as (origin, seen), client_of(auth, proxy, follow_redirects=True) as client:
            proxy.own[REFRESH] = [(307, {"Location": f"{origin}/"})]
            with pytest.raises(LatchkeyError, match="a redirect"):
                client.get(ME)
        assert (seen, auth.is_signed_in) == ([], True)

    @pytest.mark.parametrize("origin", ["http://auth.example.org", "ftp://localhost", "auth.example.org"])
    def test_not_without_https(self, origin):
        with pytest.raises(LatchkeyError, match="not https"):
            LatchkeyAuth(origin)
        with pytest.raises(LatchkeyError, match="not https"):
            LatchkeyAuth("https://auth.example.org", origins=[origin])


def test_no_secret_is_in_a_log_a_repr_or_an_error(auth, proxy, store, clock, caplog):
    caplog.set_level(logging.DEBUG)
    tokens = store.load()
    shown = [repr(auth), repr(store), repr(tokens), repr(auth.__dict__)]
    proxy.own[REFRESH] = [(418, {}), (429, {"Retry-After": "999"})]
    clock.ahead += LIFETIME
    for raised in (LatchkeyError, Unavailable):
        with pytest.raises(raised) as error, client_of(auth, proxy) as client:
            client.get(ME)
        shown += traceback.format_exception(error.value)
    clock.ahead += 2 * LIFETIME
    with client_of(auth, proxy) as client:
        response = client.get(ME)
    shown += [repr(response.history), repr(response.request.headers)]
    new = store.load()
    with pytest.raises(SignInRefused) as refused:
        LatchkeyAuth(proxy.origin).sign_in(email="a@example.org", password=WRONG)
    shown += [*traceback.format_exception(refused.value), caplog.text]
    secrets = {tokens.refresh_token, tokens.access_token, new.refresh_token, new.access_token, new.device_token}
    assert len(secrets) == 5
    assert [one for one in (*secrets, WRONG) if one in "".join(shown)] == []
