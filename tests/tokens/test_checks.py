"""The system checks: every mistake has an id of its own, a hint, and keeps `manage.py` from going on."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import ERROR, WARNING, CheckMessage, Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from tests.tokens.pems import pem, public_pem
from tests.tokens.test_conf import environment  # noqa: F401

OURS = "tokens.middleware.TokenMiddleware"
DJANGOS = "django.contrib.auth.middleware.AuthenticationMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
DJANGOS_BACKEND = "django.contrib.auth.backends.ModelBackend"
LOCAL_CACHE = "django.core.cache.backends.locmem.LocMemCache"
NO_FUNCTION = 5
SOURCES = ("conf.py", "checks.py", "signing_keys.py", "introspectors.py")
"""Where ids are given."""


class OwnSessionMiddleware(SessionMiddleware):
    """A project's own."""


Arrange = Callable[[Any, pytest.MonkeyPatch], None]


def found(**options: Any) -> list[CheckMessage]:
    """What our checks say, as `manage.py check` runs them."""
    messages = run_checks(**{"tags": [Tags.security], "include_deployment_checks": True, **options})
    return [message for message in messages if str(message.id).startswith("tokens.")]


def tokens(**values: Any) -> Arrange:
    return lambda settings, patch: setattr(settings, "TOKENS", values)


def setting(name: str, value: Any) -> Arrange:
    return lambda settings, patch: setattr(settings, name, value)


def throttled(**values: Any) -> Arrange:
    """With the default rates, and a cache that processes share unless ``values`` say otherwise."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        patch.delenv("TOKENS_THROTTLES")
        settings.TOKENS = {}
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
        for name, value in values.items():
            setattr(settings, name, value)

    return arrange


def another_database(settings: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tokens.checks.connections", {"default": SimpleNamespace(vendor="mysql")})


def middleware(*, without: str = "", before: str = "", extra: str = "") -> Arrange:
    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        order = [name for name in settings.MIDDLEWARE if name != without]
        if before:
            order.remove(OURS)
            order.insert(order.index(before), OURS)
        settings.MIDDLEWARE = [*order, extra] if extra else order

    return arrange


MISTAKES: list[tuple[str, int, Arrange, str]] = [
    # id, level, how it is made, what the message names
    ("E001", ERROR, tokens(ACCESS_LIFETIME="soon"), "ACCESS_LIFETIME"),
    ("E002", ERROR, tokens(ACCES_LIFETIME=600), "ACCES_LIFETIME"),
    ("E003", ERROR, tokens(MODES=["letter"]), "MODES"),
    ("E004", ERROR, tokens(REUSE_GRACE=100, ACKNOWLEDGE_AFTER=90), "REUSE_GRACE"),
    ("E005", ERROR, tokens(ACKNOWLEDGE_AFTER=301), "ACKNOWLEDGE_AFTER"),
    ("E006", ERROR, tokens(TRUSTED_ORIGINS=["example.org"]), "TRUSTED_ORIGINS"),
    ("E007", ERROR, setting("ORIGIN", "http://example.org"), "https"),
    ("E008", ERROR, setting("SECRET_KEY", "x" * 60), "SECRET_KEY"),
    ("E009", ERROR, another_database, "mysql"),
    ("E010", ERROR, middleware(without=OURS), OURS),
    ("E011", ERROR, middleware(before=SESSIONS), "SessionMiddleware"),
    ("E012", ERROR, setting("TRUSTED_PROXIES", ["10.0.0.0/8", "the proxy"]), "TRUSTED_PROXIES"),
    ("E013", ERROR, tokens(CLAIMS_HOOK="tests.nowhere.claims"), "CLAIMS_HOOK"),
    ("E014", ERROR, tokens(MODES=["subdomain"], COOKIE_DOMAIN="example.org"), "COOKIE_DOMAIN"),
    ("E015", ERROR, tokens(MODES=[]), "MODES"),
    ("E016", ERROR, middleware(extra=DJANGOS), "authentication middleware"),
    ("E017", ERROR, setting("TOKENS", ["MODES"]), "TOKENS"),
    ("E018", ERROR, tokens(ALGORITHM="HS256"), "ALGORITHM"),
    ("E019", ERROR, tokens(SIGNING_KEYS=["derived", "/nowhere/key.pem"]), "key 2"),
    ("E020", ERROR, tokens(SIGNING_KEYS=[pem("EdDSA")[:80]]), "key 1"),
    ("E021", ERROR, tokens(SIGNING_KEYS=[pem("EdDSA", password=b"x")]), "encrypted"),
    ("E022", ERROR, tokens(SIGNING_KEYS=[public_pem("EdDSA")]), "public"),
    ("E023", ERROR, tokens(ALGORITHM="RS256"), "ALGORITHM is RS256"),
    ("E024", ERROR, tokens(SIGNING_KEYS=["derived", pem("RSA-1024")]), "2048"),
    ("E025", ERROR, tokens(SIGNING_KEYS=["derived", "derived"]), "twice"),
    ("E026", ERROR, tokens(INTROSPECTION_CLIENTS=["api:secret"]), "entry 1"),
    ("E030", ERROR, setting("USE_TZ", False), "USE_TZ"),
    ("E031", ERROR, tokens(METRICS_ALLOWED=["127.0.0.1", "10.0.0.1/8"]), "METRICS_ALLOWED"),
    ("E032", ERROR, tokens(DEVICE_BOUND="yes"), "DEVICE_BOUND"),
    ("W001", WARNING, tokens(REUSE_GRACE=0), "REUSE_GRACE"),
    ("W002", WARNING, tokens(ACKNOWLEDGE_AFTER=31), "ACKNOWLEDGE_AFTER"),
    ("W005", WARNING, tokens(DEVICE_BOUND="offer", ACCESS_LIFETIME=299), "ACCESS_LIFETIME"),
    ("W003", WARNING, throttled(AUTHENTICATION_BACKENDS=[DJANGOS_BACKEND]), "Sign-ins"),
    ("W004", WARNING, throttled(CACHES={"default": {"BACKEND": LOCAL_CACHE}}), "Each process"),
]


def test_the_projects_own_settings_have_no_mistake():
    assert found() == []
    assert found(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.parametrize(("id", "level", "arrange", "named"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_each_mistake_is_told_once_with_its_id_and_a_hint(id, level, arrange, named, settings, monkeypatch):
    arrange(settings, monkeypatch)
    [message] = found() + found(tags=[Tags.database], databases=["default"])
    assert (message.id, message.level) == (f"tokens.{id}", level)
    assert named in message.msg
    assert message.hint


def test_the_table_has_every_id_that_the_code_knows():
    package = Path(__file__).parents[2] / "tokens"
    code = "".join((package / name).read_text() for name in SOURCES)
    assert set(re.findall(r'"(?:tokens\.)?([EW]\d{3})"', code)) == {row[0] for row in MISTAKES}


def test_no_two_different_mistakes_share_an_id():
    assert len({row[0] for row in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(("id", "level", "arrange", "named"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_manage_py_check_goes_on_with_a_warning_and_stops_at_an_error(id, level, arrange, named, settings, monkeypatch):
    arrange(settings, monkeypatch)
    options = {"tags": [Tags.security, Tags.database], "databases": ["default"]}
    if level == WARNING:
        call_command("check", **options)
    else:
        with pytest.raises(SystemCheckError, match=f"tokens.{id}"):
            call_command("check", **options)


def test_a_stranger_in_the_environment_is_a_warning(environment):  # noqa: F811
    environment(TOKENS_ACCES_LIFETIME="600")
    [message] = found()
    assert (message.id, message.level) == ("tokens.E002", WARNING)
    assert message.hint == "Did you mean ACCESS_LIFETIME?"


def test_a_short_access_lifetime_makes_its_proportions_a_warning(settings):
    settings.TOKENS = {"ACCESS_LIFETIME": 10, "ACKNOWLEDGE_AFTER": 8}
    assert {(message.id, message.level) for message in found()} == {("tokens.E005", WARNING), ("tokens.W002", WARNING)}


def test_several_mistakes_are_told_together(settings):
    settings.TOKENS = {"ACCES_LIFETIME": 1, "MAX_SESSIONS": 0, "CLAIMS_HOOK": "nowhere.claims"}
    settings.SECRET_KEY = "short"
    settings.TRUSTED_PROXIES = ["x", "y"]
    ids = sorted(str(message.id).removeprefix("tokens.") for message in found())
    assert ids == ["E001", "E002", "E008", "E012", "E012", "E013"]


@pytest.mark.parametrize("proxy", ["the proxy", "300.1.1.1", "10.0.0.1/8", "10.0.0.0/33", "", "::1%eth0/64/3"])
def test_a_proxy_that_is_no_address_and_no_network_is_refused(proxy, settings):
    settings.TRUSTED_PROXIES = [proxy]
    assert [message.id for message in found()] == ["tokens.E012"]


@pytest.mark.parametrize("proxy", ["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8"])
def test_addresses_and_networks_are_proxies(proxy, settings):
    settings.TRUSTED_PROXIES = [proxy]
    assert found() == []


@pytest.mark.parametrize(
    "path",
    [
        "nowhere.claims",
        "tests.tokens.test_checks.nothing",
        "claims",
        ".claims",
        "..",
        "tests.tokens.test_checks.",
        "tests.tokens.test_checks.NO_FUNCTION",
    ],
)
def test_a_claims_hook_that_cannot_be_called_is_refused(path, settings):
    settings.TOKENS = {"CLAIMS_HOOK": path}
    assert [message.id for message in found()] == ["tokens.E013"]


def test_a_claims_hook_that_is_there_is_taken(settings):
    settings.TOKENS = {"CLAIMS_HOOK": "tests.tokens.test_conf.claims_of_a_test"}
    assert found() == []


@pytest.mark.parametrize("vendor", ["mysql", "oracle", "microsoft"])
def test_a_database_that_the_feed_cannot_follow_is_refused(vendor, monkeypatch):
    monkeypatch.setattr("tokens.checks.connections", {"default": SimpleNamespace(vendor=vendor)})
    [message] = found(tags=[Tags.database], databases=["default"])
    assert (message.id, vendor in message.msg) == ("tokens.E009", True)


def test_the_middleware_needs_djangos_session_middleware_or_one_like_it(settings):
    settings.MIDDLEWARE = [OURS]
    assert [message.id for message in found()] == ["tokens.E011"]
    settings.MIDDLEWARE = [f"{__name__}.{OwnSessionMiddleware.__name__}", OURS]
    assert found() == []
