"""What a process keeps in memory between requests: each such place is listed, and no client can fill it."""

import ast
import codecs
import encodings
import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from django.core.cache import cache
from django.core.exceptions import BadRequest
from django.test import RequestFactory
from django.utils.translation import get_language_from_request

from tests.measures.structure import sources
from tests.tokens.protocol.jws import NOW, minted
from tests.tokens.protocol.test_access_tokens import a_codec
from tokens.protocol import access_tokens
from tokens.protocol.bounded_cache import OVERHEAD, SHARE, BoundedCache
from tokens.service import devices, throttles
from tokens.service.client import Client
from tokens.web.django import django_session
from tokens.web.http import client, cookie_names

MB = 2**20
LONG = 16_384
"""Characters of the largest header that common servers and proxies pass on."""
CACHES = {"lru_cache", "cache"}
CONTAINERS = {"dict", "set", "list", "deque", "OrderedDict", "defaultdict", "BoundedCache", "WeakKeyDictionary"}

LISTED = {
    # Budgets in bytes, and texts whose length is limited before they become keys. `FILLED` measures these.
    "tokens.protocol.access_tokens.Codec.__init__.self._good": "verified tokens, within a budget",
    "tokens.web.http.cookie_names._parsed": "Cookie headers, within a budget",
    "tokens.web.django.django_session._examined": "session cookies, within a budget",
    "tokens.web.http.client._short_peer": "addresses of at most 100 characters",
    "tokens.protocol.bounded_cache.BoundedCache.__init__.self._entries": "within the budget",
    "tokens.protocol.bounded_cache.BoundedCache.__init__.self._sizes": "one for each entry",
    # Keys of a fixed size. Each needs a session or a row.
    "tokens.service.acknowledgements._written": "50,000 ids of sessions",
    "tokens.service.acknowledgements._pending": "by tenant, ids of sessions that were used within REVOCATION_LAG",
    "tokens.service.reporting.Report.__init__.self._done": "one text for each task of a command",
    "tokens.service.revocation_feed.feed_of": "1024 tenants that have sessions",
    "tokens.service.revocation_feed.RevocationFeed.__init__.self._revoked": "50,000 ids of sessions",
    "tokens.service.revocation_feed.RevocationFeed._begin_flood.self._revoked": "empty",
    "tokens.service.revocation_feed.RevocationFeed.__init__.self._changed": "primary keys of users of these rows",
    "tokens.service.revocation_feed.RevocationFeed.__init__.self._seen_changes": "ids of rows",
    "tokens.web.lazy_user.primary_key": "4096 primary keys from our own tokens",
    "tokens.sockets.TokenAuthMiddleware.__init__.self._watches": "one for each event loop",
    "tokens.sockets._Watch.__init__.self._sockets": "sockets that are open",
    "tokens.sockets._Watch.__init__.self._closing": "sockets that are being closed",
    "tokens.hashers.Turns.__init__.self._waiting": "requests that wait, one for each place",
    "accounts.delivery.Queue.__init__.self._of_address": "1000 mails of ours: addresses and names in them are cut",
    # The server chooses the keys: settings, models, databases, languages.
    "tokens.conf.token_settings": "one",
    "tokens.conf._keyring": "1024 tenants, whose names have at most 200 characters",
    "tokens.conf.codec_of": "1024 tenants",
    "tokens.conf._good_of_tenants": "verified tokens of all tenants, within a budget",
    "tokens.conf.reading.read": "one",
    "tokens.hashers._turns": "one",
    "tokens.web.http.client._scheme_header": "one",
    "tokens.web.django.session_cookie.session_cookie_settings": "one",
    "tokens.web.http.client._trusted_proxies": "one",
    "tokens.web.http.cookies._names": "one",
    "tokens.web.cors._allows_some": "one",
    "tokens.web.http.cookies._http_date": "4 times",
    "tokens.web.http.paths.auth_api": "one",
    "tokens.web.http.paths._refreshing_themselves": "one",
    "tokens.database.prepared._Reader.__init__.self.names": "our prepared statements",
    "tokens.contrib.coming_over.sources.installed": "three",
    "tokens.database.statements.Read.__init__.self._compiled": "one for each database",
    "tokens.database.statements._insertion": "32 statements by model and number of rows",
    "tokens.database.statements._change": "32 statements by model and columns",
    "tokens.service.queries._prepared_newest": "one for each database",
    "tokens.service.rotation_statement._statement": "one for each database",
    "tokens.service.user_rules.has_rules": "one answer",
    "tokens.service.triggers._installed": "databases and schemas",
    "config.settings.DEBUG_HOSTS": "a setting",
    "config.csp.policy": "8, by directives in the code",
    "config.schema._described": "one for each language and format",
    # Constants that happen to be empty.
    "tokens.management.commands.make_signing_key.Command.requires_system_checks": "a constant",
    "accounts.models.User.REQUIRED_FIELDS": "a constant",
    "config.settings.ALLOWED_HOSTS": "a constant",
    "config.settings.TRUSTED_PROXIES": "a constant",
    "config.settings.SECRET_KEY_FALLBACKS": "a constant",
    "tokens.sockets.Scope": "a type",
    "tokens.web.bodies.Scope": "a type",
}
"""What a process keeps between requests, and what limits it."""
OF_THE_DEMO = {
    "config.demo.management.commands.demo.Command.requires_system_checks": "a constant",
    "config.demo.mailbox._kept": "100 mails",
    "config.demo.views._jars": "100 sessions",
    "config.demo.views._renewals": "100 sessions",
}
"""The same, in development. A project can delete the demo."""


def test_every_place_that_keeps_something_is_listed():
    """A new cache needs a line: say what limits it in bytes, and measure it in `FILLED` if clients choose its keys."""
    found = {place for module, path in sources().items() for place in places(module, ast.parse(path.read_text()))}
    assert found - OF_THE_DEMO.keys() == LISTED.keys()


def places(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield the names of caches, of empty containers at the level of a module or class, and of those in attributes."""
    todo: list[tuple[ast.AST, tuple[str, ...], bool]] = [(tree, (module,), False)]
    while todo:
        node, scope, in_function = todo.pop()
        for child in ast.iter_child_nodes(node):
            inner, is_function = scope, in_function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner, is_function = (*scope, child.name), in_function or not isinstance(child, ast.ClassDef)
                if any(called(decorator) in CACHES for decorator in child.decorator_list):
                    yield ".".join(inner)
            elif isinstance(child, ast.Assign | ast.AnnAssign) and child.value is not None and keeps(child.value):
                for target in child.targets if isinstance(child, ast.Assign) else [child.target]:
                    if isinstance(target, ast.Attribute) or not in_function:
                        yield ".".join((*scope, ast.unparse(target)))
            todo.append((child, inner, is_function))


def keeps(value: ast.expr) -> bool:
    """Return whether the value is an empty container, or what a cache returns."""
    is_empty = (isinstance(value, ast.Dict) and not value.keys) or (isinstance(value, ast.List) and not value.elts)
    calls = [called(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)]
    return is_empty or called(value) in CONTAINERS or not CACHES.isdisjoint(calls)


def called(node: ast.AST) -> str:
    """Return the last name of what is called, or of a decorator."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _cookies(kind: str) -> Callable[[int], None]:
    shapes = {
        "one long": lambda number: f"a={number}{'x' * 8000}",
        "many": lambda number: f"{number}=1;" + ";".join(f"{place:x}=1" for place in range(100)),
        "as many as fit": lambda number: f"{number}=1;" + ";".join(f"{place:x}=1" for place in range(2000)),
    }

    def fill(number: int) -> None:
        cookie_names.read(RequestFactory(headers={"Cookie": shapes[kind](number)}).get("/"), ("access",))

    return fill


def _session_cookie(number: int) -> None:
    django_session._remember(f"{number}" + "\U0001f511" * (LONG // 4), "42", {})


def _charset(number: int) -> None:
    # Django 6 rejects long ones.
    length = LONG if number % 2 else 9_000
    with suppress(BadRequest):
        RequestFactory().generic("GET", "/", CONTENT_TYPE=f"text/plain; charset=x{number}{'y' * length}")


def _language(number: int) -> None:
    header = f"a{number},en-{number}{'x' * 200};q=0.5," + "a," * 200
    get_language_from_request(
        RequestFactory(headers={"Accept-Language": header[: 499 if number % 2 else LONG]}).get("/")
    )


def _address(number: int) -> None:
    client.client_ip(
        RequestFactory(REMOTE_ADDR=f"{number}" + "1" * 90, headers={"X-Forwarded-For": "1" * LONG}).get("/")
    )


def _user_agent(number: int) -> None:
    devices.default_name(Client(user_agent=f"Mozilla/5.0 ({number}) Firefox/{'1' * LONG}"))


CODEC = a_codec()


def _token(number: int) -> None:
    CODEC.loads(minted(CODEC, extra={"may": [f"app.change_{number}_{of}" for of in range(200)]}), NOW)


FILLED: dict[str, tuple[Callable[[int], None], int, int, int]] = {
    # name: (the function that keeps an entry, the number of entries, how many real entries each of them represents,
    # the most bytes)
    "cookie headers with one long cookie": (_cookies("one long"), 500, 1, cookie_names.REMEMBERED),
    "cookie headers with many cookies": (_cookies("many"), 300, 1, cookie_names.REMEMBERED),
    "cookie headers with as many cookies as fit": (_cookies("as many as fit"), 30, 1, cookie_names.REMEMBERED),
    "session cookies": (_session_cookie, 500, 1, django_session.REMEMBERED),
    "access tokens with many claims": (_token, 700, 1, access_tokens.REMEMBERED),
    "names of encodings": (_charset, 300, 1, MB // 4),
    "languages, in Django": (_language, 100, 10, 3 * MB),
    "addresses": (_address, 128, 8, MB),
    "names of browsers": (_user_agent, 200, 10, 6 * MB),
}


def kept_by(fill: Callable[[int], None], number: int) -> int:
    """Return how many bytes more are in use after ``fill`` was called with so many numbers."""
    fill(-1)  # What is imported and compiled once does not count.
    gc.collect()
    tracemalloc.start()
    try:
        for each in range(number):
            fill(each)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", FILLED)
@pytest.mark.long
def test_a_client_fills_no_more_than_its_limit_with(what, monkeypatch):
    # The hook of pytest remembers each name that Python tries to import.
    monkeypatch.setattr(sys, "meta_path", [hook for hook in sys.meta_path if "pytest" not in type(hook).__module__])
    fill, number, times, most = FILLED[what]
    # The table of a dictionary stays as large as it was for many small entries, until it grows again.
    assert times * kept_by(fill, number) <= 1.25 * most


def test_the_counts_of_the_throttles_have_a_fixed_size(throttled):
    def count(number: int) -> None:
        throttles.count(throttles.Tally("sign_in_account", f"{number}{'x' * LONG}"))

    entries = cache._max_entries  # type: ignore[attr-defined]
    assert entries * kept_by(count, 500) / 500 <= 80 * MB


def test_python_still_finds_encodings_and_remembers_no_name_that_is_none():
    assert codecs.lookup("iso8859-7").name == "iso8859-7"
    with suppress(LookupError):
        codecs.lookup("no such encoding")
    assert "no_such_encoding" not in encodings._cache  # type: ignore[attr-defined]


class TestTheCache:
    def test_forgets_the_oldest_when_the_sizes_exceed_the_budget(self):
        cache: BoundedCache[int, str] = BoundedCache(SHARE * (OVERHEAD + 100))
        for number in range(SHARE + 5):
            cache.put(number, "x", 100)
        assert [number for number in range(SHARE + 5) if cache.get(number)] == list(range(5, SHARE + 5))
        assert len(cache) == SHARE

    def test_does_not_keep_an_entry_that_would_take_the_places_of_many(self):
        cache: BoundedCache[int, str] = BoundedCache(SHARE * (OVERHEAD + 100))
        cache.put(1, "x", 101)
        assert cache.get(1) is None

    def test_counts_the_same_entry_once(self):
        cache: BoundedCache[int, str] = BoundedCache(SHARE * (OVERHEAD + 100))
        for _ in range(2 * SHARE):
            cache.put(1, "x", 100)
        cache.put(2, "y", 100)
        assert (cache.get(1), cache.get(2), len(cache)) == ("x", "y", 2)
