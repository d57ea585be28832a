"""The settings of this app: one frozen, typed object, read when asked.

They stand in Django's settings as the dictionary ``TOKENS``; an environment variable ``TOKENS_<NAME>`` has the last
word. Durations are whole seconds there, and `datetime.timedelta` here. Lists, and rates by name, are comma-separated in
the environment.

`token_settings` returns the object, or raises `ImproperlyConfigured` naming every mistake; `tokens.checks` turns the
same mistakes into system checks. Nothing else in the project reads ``settings.TOKENS``.
"""

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from tokens import introspectors, rates, signing_keys
from tokens.introspectors import Introspector
from tokens.mistakes import Mistake
from tokens.rates import Rates
from tokens.rotation import Policy
from tokens.signing_keys import DERIVED, EDDSA, SigningKey

PREFIX = "TOKENS_"
COOKIE, SCOPED, SUBDOMAIN, BODY = MODES = "cookie", "scoped", "subdomain", "body"
SHORT_ACCESS_LIFETIME = timedelta(seconds=60)
"""Below this an access token's life is for trying things out, and its proportions are only warned about."""
OFF, OFFER = BINDINGS = "off", "offer"
SHORT_BOUND_LIFETIME = timedelta(seconds=300)
"""Below this no session is bound: a browser renews the cookie from two minutes before its end on, and Chromium signs
six times in nine minutes. Whoever needs more is told 503 until they are over."""
WEAK_SECRET_KEY = 50, 5, "django-insecure-"
"""Fewer characters, fewer different ones, or this prefix (the limits of Django's check security.W009)."""
_ORIGIN = re.compile(r"(http(?!.*:80$)|https(?!.*:443$))://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?", re.ASCII)
"""As browsers write it (RFC 6454 section 6.2), without a port that is the scheme's own: other spellings match none."""


def _seconds(default: int, doc: str, least: int = 1) -> Any:
    return field(
        default=timedelta(seconds=default), metadata={"kind": "seconds", "doc": doc, "unit": "s", "least": least}
    )


def _setting(kind: str, default: Any, doc: str, unit: str = "", *, least: int = 1, secret: bool = False) -> Any:
    return field(default=default, metadata={"kind": kind, "doc": doc, "unit": unit, "least": least}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """Every setting with its default, its unit and what it means; the README's table shows the same."""

    modes: tuple[str, ...] = _setting("list", (COOKIE,), "storage modes served; the first is the default")
    access_lifetime: timedelta = _seconds(600, "an access token's life, less up to 5 % at random")
    idle_lifetime: timedelta = _seconds(14 * 86400, "a remembered session ends after so long unused")
    absolute_lifetime: timedelta = _seconds(30 * 86400, "any session ends so long after its sign-in")
    browser_session_lifetime: timedelta = _seconds(
        12 * 3600, "a session without “remember me” ends after so long unused"
    )
    max_sessions: int = _setting("count", 50, "live sessions of one user; the longest unused makes way", "sessions")
    reuse_grace: timedelta = _seconds(
        30, "how long the generation before is answered without question; 0: strict one-time use", least=0
    )
    acknowledge_after: timedelta = _seconds(
        90, "how long a new generation stays still, and how late an access token's use proves that it was received"
    )
    max_recoveries: int = _setting("count", 8, "how many generations in a row may be recovered", "generations")
    revocation_lag: timedelta = _seconds(1, "how late a revocation may reach a process")
    revocation_strict: bool = _setting(
        "flag", False, "refuse access tokens with 503 while revocations cannot be read, instead of trusting them"
    )
    reauthentication_age: timedelta = _seconds(900, "how recent a sign-in must be for sensitive changes")
    max_hashings: int = _setting(
        "count",
        0,
        "passwords hashed at a time in a process; as many more wait, and others are told 503; 0: half of the cores",
        "hashings",
        least=0,
    )
    throttles: Rates = _setting(
        "rates",
        Rates(),
        "how often, by name, or `off`: what is not named keeps its default; in the environment `name=rate, name=off`",
        "in a period",
    )
    issuer: str = _setting("text", "", "`iss` of access tokens; by default `ORIGIN`")
    audience: str = _setting("text", "", "`aud` of access tokens; by default `ORIGIN`")
    client_id: str = _setting("text", "latchkey", "`client_id` of access tokens")
    algorithm: str = _setting("text", EDDSA, "what access tokens are signed by: `EdDSA`, `ES256` or `RS256`")
    signing_keys: tuple[str, ...] = _setting(
        "list",
        (DERIVED,),
        "PEM files (or texts) of private keys, and `derived` for those made from `SECRET_KEY` (EdDSA); "
        "the first signs, all verify",
        secret=True,
    )
    claims_hook: str = _setting("text", "", "dotted path of a function that is given the user and returns more claims")
    cookie_domain: str = _setting("text", "", "the site that all hosts of `subdomain` mode belong to: `example.org`")
    trusted_origins: tuple[str, ...] = _setting("list", (), "other origins whose unsafe requests are accepted")
    device_bound: str = _setting(
        "text",
        OFF,
        "`offer`: browsers that can bind a new session to a key that they keep (DBSC), over https; `off`: not",
    )
    introspection_clients: tuple[str, ...] = _setting(
        "list",
        (),
        "services that may introspect tokens, each as `id:SHA-256 of its secret`; none: it is off",
        secret=True,
    )
    metrics_allowed: tuple[str, ...] = _setting(
        "list", ("127.0.0.0/8", "::1"), "addresses or networks that may read `/metrics`; by default this machine"
    )
    session_retention: timedelta = _seconds(30 * 86400, "how long ended sessions are kept")
    event_retention: timedelta = _seconds(400 * 86400, "how long security events are kept")
    origin: str = ""
    """Our own origin (scheme, host and port): Django's setting ``ORIGIN``, never a Host header."""
    keys: tuple[SigningKey | None, ...] = (None,)
    """What `signing_keys` names, read once, when the process starts; None stands for the derived ones."""
    introspectors: tuple[Introspector, ...] = ()
    """What `introspection_clients` says."""

    @cached_property
    def policy(self) -> Policy:
        return Policy(self.reuse_grace, self.acknowledge_after, self.max_recoveries)

    @cached_property
    def secure(self) -> bool:
        """Whether cookies are ``Secure`` and carry a name prefix: always, but for development over plain http."""
        return self.origin.startswith("https://")

    @cached_property
    def offers_binding(self) -> bool:
        """Whether browsers are asked to bind their sessions to a key."""
        return self.device_bound == OFFER and self.secure and self.access_lifetime >= SHORT_BOUND_LIFETIME

    @cached_property
    def mode_of_pages(self) -> str:
        """The storage mode of a session that a page opened, not the API: the first that keeps tokens in cookies."""
        return COOKIE if COOKIE in self.modes else next((mode for mode in self.modes if mode != BODY), COOKIE)

    @cached_property
    def claims(self) -> Callable[[Any], Mapping[str, Any]] | None:
        return import_string(self.claims_hook) if self.claims_hook else None


SETTINGS = {item.name.upper(): item for item in fields(TokenSettings) if item.metadata}


@lru_cache(maxsize=1)
def read() -> tuple[TokenSettings, tuple[Mistake, ...]]:
    """Return the settings as far as they can be read, and what is wrong with them."""
    mistakes: list[Mistake] = []
    given: dict[str, Any] = {}
    if not isinstance(getattr(settings, "TOKENS", {}), Mapping):
        mistakes.append(Mistake("E017", "TOKENS is no dictionary.", 'TOKENS = {"ACCESS_LIFETIME": 300}'))
    for source, name, value in _given_values():
        if name not in SETTINGS:
            mistakes.append(_unknown(source, name))
            continue
        try:
            given[name.lower()] = _parse(name, value, from_text=source == "environment")
        except ValueError as error:
            mistakes.append(Mistake("E001", f"{_label(source, name)}: {error}.", "The README has a table of settings."))
    given["origin"] = str(getattr(settings, "ORIGIN", None) or "")
    given.setdefault("issuer", given["origin"])
    given.setdefault("audience", given["origin"])
    _fit_defaults(given)
    given["signing_keys"] = given.get("signing_keys") or (DERIVED,)
    given["keys"], wrong_keys = signing_keys.read(given.get("algorithm", EDDSA), given["signing_keys"])
    given["introspectors"], wrong_entries = introspectors.read(given.get("introspection_clients", ()))
    read_settings = TokenSettings(**given)
    mistakes += [*wrong_keys, *wrong_entries]
    mistakes += [*_contradictions(read_settings), *_dangers(read_settings)]
    return read_settings, tuple(mistakes)


@lru_cache(maxsize=1)
def token_settings() -> TokenSettings:
    """Return the settings; raise `ImproperlyConfigured` where one is wrong or unsafe."""
    found, mistakes = read()
    if serious := [mistake.message for mistake in mistakes if mistake.serious]:
        raise ImproperlyConfigured(" ".join(serious))
    return found


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"TOKENS", "ORIGIN", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "DEBUG"}:
        read.cache_clear()
        token_settings.cache_clear()


def _given_values() -> list[tuple[str, str, Any]]:
    configured = getattr(settings, "TOKENS", {})
    configured = configured if isinstance(configured, Mapping) else {}
    environment = {name.removeprefix(PREFIX): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return [("settings", name, value) for name, value in configured.items()] + [
        ("environment", name, value) for name, value in environment.items()
    ]


def _label(source: str, name: str) -> str:
    return f"{PREFIX}{name}" if source == "environment" else f'TOKENS["{name}"]'


def _unknown(source: str, name: str) -> Mistake:
    close = get_close_matches(str(name).upper(), SETTINGS, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(SETTINGS)}."
    # The environment is shared with other programs: a stranger's variable must not keep the server from starting.
    return Mistake("E002", f"{_label(source, name)} is not a setting.", hint, serious=source == "settings")


def _parse(name: str, value: Any, *, from_text: bool) -> Any:
    meta = SETTINGS[name].metadata
    if from_text:
        value = _from_text(meta["kind"], value.strip())
    match meta["kind"]:
        case "seconds" | "count":
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError("must be a whole number" + (" of seconds" if meta["kind"] == "seconds" else ""))
            if not meta["least"] <= value <= 10**10:
                raise ValueError(f"must be at least {meta['least']}, and no more than ten thousand million")
            return timedelta(seconds=value) if meta["kind"] == "seconds" else value
        case "flag":
            if not isinstance(value, bool):
                raise ValueError("must be true or false")
            return value
        case "list":
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
                raise ValueError("must be a list of strings")
            return tuple(value)
        case "rates":
            return rates.read(value)
        case _:
            if not isinstance(value, str) or not value:
                raise ValueError("must be a string, and not empty")
            return value


def _from_text(kind: str, text: str) -> Any:
    if kind in {"seconds", "count"}:
        return int(text) if text.isascii() and text.isdecimal() else text
    if kind == "flag":
        return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}.get(text.lower(), text)
    if kind == "list":
        return [item.strip() for item in text.split(",") if item.strip()]
    return rates.from_text(text) if kind == "rates" else text


def _fit_defaults(given: dict[str, Any]) -> None:
    """Shorten the protocol's default durations where a short one was given: each alone must be able to start."""
    defaults = TokenSettings()
    access = given.get("access_lifetime", defaults.access_lifetime)
    if "acknowledge_after" not in given:
        grace = given.get("reuse_grace", timedelta())
        roomy = max(defaults.acknowledge_after, grace * 3 / 2)
        fitting = min(roomy, access / 2)
        given["acknowledge_after"] = fitting if fitting > grace else roomy
    given.setdefault("reuse_grace", min(defaults.reuse_grace, given["acknowledge_after"] / 3))


def _contradictions(found: TokenSettings) -> list[Mistake]:
    mistakes = []
    if unknown := [mode for mode in found.modes if mode not in MODES]:
        mistakes.append(
            Mistake("E003", f"MODES has {unknown[0]!r}, which is no storage mode.", f"There are: {', '.join(MODES)}.")
        )
    if SUBDOMAIN in found.modes and not _is_within(_host_of(found.origin), found.cookie_domain):
        mistakes.append(
            Mistake(
                "E014",
                "MODES has 'subdomain', but COOKIE_DOMAIN is not the site of ORIGIN.",
                "With ORIGIN https://auth.example.org: COOKIE_DOMAIN = example.org",
            )
        )
    for network in found.metrics_allowed:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            mistakes.append(Mistake("E031", f"METRICS_ALLOWED: {error}.", "Addresses or networks: 10.0.0.0/8, ::1"))
    if found.device_bound not in BINDINGS:
        mistakes.append(
            Mistake("E032", f"DEVICE_BOUND is {found.device_bound!r}.", f"There are: {', '.join(BINDINGS)}.")
        )
    if not found.modes:
        mistakes.append(Mistake("E015", "MODES is empty.", f"There are: {', '.join(MODES)}."))
    grace, still, access = found.reuse_grace, found.acknowledge_after, found.access_lifetime
    if grace >= still:
        mistakes.append(
            Mistake(
                "E004",
                f"REUSE_GRACE ({grace.total_seconds():g} s) is not less than ACKNOWLEDGE_AFTER "
                f"({still.total_seconds():g} s).",
                "Parallel requests would be taken for theft. The defaults are 30 and 90.",
            )
        )
    if still > access / 2:
        mistakes.append(
            Mistake(
                "E005",
                f"ACKNOWLEDGE_AFTER ({still.total_seconds():g} s) is more than half of ACCESS_LIFETIME "
                f"({access.total_seconds():g} s).",
                "Access tokens would end before their use could prove anything, and theft would be noticed late.",
                serious=access >= SHORT_ACCESS_LIFETIME,
            )
        )
    if found.device_bound == OFFER and access < SHORT_BOUND_LIFETIME:
        mistakes.append(
            Mistake(
                "W005",
                f"DEVICE_BOUND: no session is bound, for ACCESS_LIFETIME ({access.total_seconds():g} s) is less than "
                f"{SHORT_BOUND_LIFETIME.total_seconds():g} s.",
                "Browsers sign no more often than that. The default is 600.",
                serious=False,
            )
        )
    if found.policy.strict:
        mistakes.append(
            Mistake(
                "W001",
                "REUSE_GRACE is 0: parallel requests, retries and lost responses end sessions.",
                "Leave it at 30 seconds unless your clients send one request at a time.",
                serious=False,
            )
        )
    elif grace < still < 2 * grace + timedelta(seconds=30):
        mistakes.append(
            Mistake(
                "W002",
                f"ACKNOWLEDGE_AFTER ({still.total_seconds():g} s) is less than twice REUSE_GRACE and 30 s.",
                "Browsers take up to 30 s to save their cookies: one that crashes may be signed out.",
                serious=False,
            )
        )
    return mistakes


def _is_within(host: str | None, domain: str) -> bool:
    return bool(host and domain) and (host == domain or str(host).endswith(f".{domain}"))


def _dangers(found: TokenSettings) -> list[Mistake]:
    mistakes = [
        Mistake("E006", f"{name} is no origin: {origin!r}.", "Write it as browsers do: https://example.org")
        for name, origin in [("ORIGIN", found.origin), *(("TRUSTED_ORIGINS", one) for one in found.trusted_origins)]
        if not _is_origin(origin)
    ]
    if _is_development():
        return mistakes
    if not found.secure:
        mistakes.append(
            Mistake("E007", "ORIGIN is not https: cookies could be read on the way.", "Serve over TLS, or set DEBUG.")
        )
    length, different, prefix = WEAK_SECRET_KEY
    for name, secret in [
        ("SECRET_KEY", settings.SECRET_KEY),
        *(("SECRET_KEY_FALLBACKS", one) for one in settings.SECRET_KEY_FALLBACKS),
    ]:
        if len(secret) < length or len(set(secret)) < different or secret.startswith(prefix):
            mistakes.append(
                Mistake(
                    "E008",
                    f"{name} is weak: a published key would let it be guessed offline.",
                    "At least 50 random characters: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
                )
            )
    return mistakes


def _is_development() -> bool:
    """Whether DEBUG is on where it is written: a test runner turns it off, over settings that are a developer's."""
    module = sys.modules.get(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    return settings.DEBUG or getattr(module, "DEBUG", False) is True


def _is_origin(text: str) -> bool:
    return _host_of(text) is not None


def _host_of(origin: str) -> str | None:
    match = _ORIGIN.fullmatch(origin)
    return match[2] if match else None
