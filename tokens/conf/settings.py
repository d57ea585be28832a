"""Every setting of `tokens`: its name, its default, its unit and its meaning.

Durations are `datetime.timedelta` here. In Django's settings and in the environment they are whole seconds
(`tokens.conf.reading`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from typing import Any

from tokens.conf.body_limits import BodyLimits
from tokens.conf.hooks import NOBODY, Hooks
from tokens.conf.introspection_clients import IntrospectionClient
from tokens.conf.lifetimes import IdleLimits, Lifetimes, Limits, ReopenedSets, limits_of_idle, sets_of_reopened
from tokens.conf.methods import DEFAULT_LEVELS
from tokens.conf.rates import Rates
from tokens.conf.signing_keys import DERIVED
from tokens.protocol.methods import REGISTERED, Levels, acr_of
from tokens.protocol.rotation import Policy
from tokens.protocol.signing_keys import EDDSA, SigningKey

COOKIE, SCOPED, SUBDOMAIN, BODY = MODES = "cookie", "scoped", "subdomain", "body"
"""The storage modes: where a client keeps its tokens."""
OFF, OFFER = BINDINGS = "off", "offer"
"""The values of DEVICE_BOUND."""
ALWAYS, BOUND, NEVER = REMEMBERING = "always", "bound", "never"
"""The values of REMEMBER."""
SHORT_BOUND_LIFETIME = timedelta(seconds=300)
"""With a shorter ACCESS_LIFETIME no session is bound to a device.

Browsers renew the access cookie up to two minutes before it expires, and Chromium signs at most six times in nine
minutes for one site. If more proofs are needed, the user gets 503 until the nine minutes are over.
"""

FOREVER, FOREVER_TEXT = timedelta.max, "forever"
"""A retention for which nothing is deleted, and how it is written. No date is that far away: do not add it to one."""
_NO_LIMITS = Limits()


def _seconds(default: int, doc: str, least: int = 1, *, or_forever: bool = False) -> Any:
    metadata = {"kind": "seconds", "doc": doc, "unit": "s", "least": least, "or_forever": or_forever}
    return field(default=timedelta(seconds=default), metadata=metadata)


def _setting(kind: str, default: Any, doc: str, unit: str = "", *, least: int = 1, secret: bool = False) -> Any:
    return field(default=default, metadata={"kind": kind, "doc": doc, "unit": unit, "least": least}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class TokenSettings(Hooks):
    """Every setting with its default, its unit and its meaning. docs/reference/settings.md shows the same."""

    modes: tuple[str, ...] = _setting(
        "list", (COOKIE,), "the storage modes that clients may use; the first is the default"
    )
    access_lifetime: timedelta = _seconds(600, "lifetime of an access token, shortened at random by up to 5 %")
    idle_lifetime: timedelta = _seconds(
        14 * 86400, "a session with “remember me” ends when it was not used for this long"
    )
    absolute_lifetime: timedelta = _seconds(
        30 * 86400, "every session ends this long after the user last authenticated"
    )
    browser_session_lifetime: timedelta = _seconds(
        12 * 3600, "a session without “remember me” ends when it was not used for this long"
    )
    remember: str = _setting(
        "text",
        ALWAYS,
        "which sessions with “remember me” go on when the browser is closed: `always`: all; `bound`: those that are "
        "bound to their device; `never`: none",
    )
    max_sessions: int = _setting(
        "count", 50, "live sessions of one user; the least recently used one is ended when there are more", "sessions"
    )
    reuse_grace: timedelta = _seconds(
        30, "for how long a refresh token that was replaced is answered again; 0: strict one-time use", least=0
    )
    acknowledge_after: timedelta = _seconds(
        90,
        "for how long a new refresh token is not replaced, and how long after its issue the use of an access token "
        "proves that it was received",
    )
    max_recoveries: int = _setting(
        "count", 8, "how many refreshes in a row may be answered again after a lost response", "generations"
    )
    revocation_lag: timedelta = _seconds(
        1, "how long it may take until every process rejects the access tokens of a revoked session"
    )
    revocation_strict: bool = _setting(
        "flag", False, "answer 503 while revocations cannot be read, instead of trusting access tokens"
    )
    reauthentication_age: timedelta = _seconds(900, "how recent the sign-in must be for sensitive changes")
    reauthentication_url: str = _setting(
        "text", "sign-in-again", "the page that asks a user to authenticate again: a path, or the name of a URL"
    )
    max_hashings: int = _setting(
        "count",
        0,
        "passwords that a process hashes at a time; as many more wait, and at least four, but only one for each "
        "account and one from each network; others get 503; 0: half of the cores",
        "hashings",
        least=0,
    )
    throttles: Rates = _setting(
        "rates",
        Rates(),
        "rates by name, or `off`; the other rates keep their default; in the environment `name=rate, name=off`",
        "in a period",
    )
    body_limits: BodyLimits = _setting(
        "limits",
        BodyLimits(),
        "bytes of a request body by the beginning of the path, or `off`; the longest beginning that fits counts; a "
        "larger body is not read, and answered 413; in the environment `/=2621440, /files/=524288000`",
        "bytes",
    )
    trust_request_time: bool = _setting(
        "flag",
        False,
        "trusted proxies say in the header `X-Request-Time` how long a request took to arrive, so an upload whose "
        "refresh token was replaced while it was under way does not end the session",
    )
    issuer: str = _setting("text", "", "`iss` of access tokens; by default `ORIGIN`")
    audience: str = _setting("text", "", "`aud` of access tokens; by default `ORIGIN`")
    service_audience: str = _setting(
        "text",
        "",
        "`aud` of access tokens for services, which open nothing at `/api/auth/`; if empty, there are no such tokens",
    )
    client_id: str = _setting("text", "latchkey", "`client_id` of access tokens")
    algorithm: str = _setting("text", EDDSA, "signature algorithm of access tokens: `EdDSA`, `ES256` or `RS256`")
    signing_keys: tuple[str, ...] = _setting(
        "list",
        (DERIVED,),
        "private keys as PEM files or texts, and `derived` for those derived from `SECRET_KEY` (EdDSA); "
        "the first signs, all verify",
        secret=True,
    )
    claims_hook: str = _setting(
        "text", "", "dotted path of a function that takes the user and the session, and returns more claims"
    )
    tenant_hook: str = _setting(
        "text",
        "",
        "dotted path of a function that takes the request and returns the name of its tenant, or None; tokens are good "
        "at their tenant only",
    )
    tenant_keys: str = _setting(
        "text",
        "",
        "dotted path of a function that takes the name of a tenant and returns its signing keys, written as in "
        "`SIGNING_KEYS`; if the function returns none, and without this setting, `SIGNING_KEYS` are used",
    )
    tenant_context: str = _setting(
        "text",
        "",
        "dotted path of a function that takes the name of a tenant and returns a context manager, in which queries go "
        "to this tenant; for web sockets",
    )
    own_methods: tuple[str, ...] = _setting(
        "list", (), "the project's own authentication methods, beside the values of RFC 8176"
    )
    backend_methods: tuple[tuple[str, tuple[str, ...]], ...] = _setting(
        "backends",
        (),
        "what a user proves who authenticates by a backend: lists of methods by its dotted path; in the environment "
        "`a.Backend=pwd otp, another.Backend=`",
        "methods",
    )
    acr_values: Levels = _setting(
        "levels",
        DEFAULT_LEVELS,
        "the values of `acr`, the lowest first, each with the sets of methods of which one is enough; in the "
        "environment `aal1=pwd, aal1=otp, aal2=mfa`",
        "methods",
    )
    lifetimes: Lifetimes = _setting(
        "lifetimes",
        (),
        "`nist`, or how long sessions of each `acr` last at most, absolute and idle, and whether a factor reopens idle "
        "ones; in the environment `aal1=2592000, aal2=86400/3600/reopens`",
        "s",
    )
    sign_in_policy: str = _setting(
        "text",
        "",
        "dotted path of a function that takes the request, the user and their methods, and says whether they may sign "
        "in",
    )
    factors: tuple[str, ...] = _setting(
        "list",
        ("tokens.web.factors.Password",),
        "dotted paths of the factors: the ways in which users prove who they are, in the order in which they are "
        "offered",
    )
    required_factors: str = _setting(
        "text",
        NOBODY,
        "who needs a factor besides what they know: `nobody`, `staff`, `everybody`, or those for whom the function at "
        "this dotted path returns true, which takes the user",
    )
    trust_device_bound_passkeys: bool = _setting(
        "flag", False, "believe a passkey's authenticator that it cannot be copied to other devices: it is then `hwk`"
    )
    trust_devices_for: timedelta = _seconds(
        30 * 86400,
        "for how long a user can trust a device, so that it is asked for no second factor; 0: never",
        least=0,
    )
    cookie_domain: str = _setting("text", "", "the site of all hosts in mode `subdomain`: `example.org`")
    cookie_suffix: str = _setting(
        "text",
        "",
        "ends the names of all cookies, after a hyphen: `__Host-access-shop`; for two sites with Latchkey on one host, "
        "at two ports or paths",
    )
    http_cookie_names: bool = _setting(
        "flag",
        True,
        "write the refresh and device cookies under names that scripts cannot set (`__Host-Http-…`); false: "
        "under their older names, while processes of an earlier release are running",
    )
    trusted_origins: tuple[str, ...] = _setting("list", (), "other origins whose unsafe requests are accepted")
    device_bound: str = _setting(
        "text",
        OFFER,
        "`offer`: over https, browsers with DBSC bind new sessions to a key of the device; `off`: they do not",
    )
    introspection_clients: tuple[str, ...] = _setting(
        "list",
        (),
        "services that may introspect tokens, each as `id:SHA-256 of its secret`; if empty, introspection is off",
        secret=True,
    )
    metrics_allowed: tuple[str, ...] = _setting(
        "list", ("127.0.0.0/8", "::1"), "addresses or networks that may read `/metrics`; by default only this machine"
    )
    session_retention: timedelta = _seconds(
        30 * 86400, "how long ended sessions are kept, or `forever`", or_forever=True
    )
    event_retention: timedelta = _seconds(
        400 * 86400, "how long security events are kept, or `forever`", or_forever=True
    )
    attempt_retention: timedelta = _seconds(
        30 * 86400,
        "how long failed sign-ins, and requests for registrations and resets, are kept as security events, "
        "or `forever`",
        or_forever=True,
    )
    origin: str = ""
    """The origin of this server (scheme, host and port): Django's setting ``ORIGIN``, and never a Host header."""
    keys: tuple[SigningKey | None, ...] = (None,)
    """The keys of `signing_keys`, read once when the process starts. None stands for the derived keys."""
    introspectors: tuple[IntrospectionClient, ...] = ()
    """The clients in `introspection_clients`."""

    @cached_property
    def policy(self) -> Policy:
        return Policy(self.reuse_grace, self.acknowledge_after, self.max_recoveries)

    @cached_property
    def acknowledged_after(self) -> float:
        """`acknowledge_after` in seconds, which nearly every request compares."""
        return self.acknowledge_after.total_seconds()

    @cached_property
    def secure(self) -> bool:
        """Whether cookies are ``Secure`` and their names have a prefix. Only for development over http they are not."""
        return self.origin.startswith("https://")

    @cached_property
    def suffix(self) -> str:
        """What the names of all cookies end in: a hyphen and `cookie_suffix`, or nothing."""
        return f"-{self.cookie_suffix}" if self.cookie_suffix else ""

    @cached_property
    def writes_http_names(self) -> bool:
        """Whether the refresh and device cookies are written under names with ``Http`` in their prefix."""
        return self.secure and self.http_cookie_names

    @cached_property
    def offers_binding(self) -> bool:
        """Whether browsers are offered to bind their sessions to a key of the device."""
        return self.device_bound == OFFER and self.secure and self.access_lifetime >= SHORT_BOUND_LIFETIME

    @cached_property
    def idle_lifetime_unbound(self) -> timedelta:
        """`idle_lifetime` as far as REMEMBER allows it to a session that is not bound to its device."""
        return self.idle_lifetime if self.remember == ALWAYS else self.browser_session_lifetime

    @cached_property
    def mode_of_pages(self) -> str:
        """The storage mode of sessions that pages open: the first mode that keeps tokens in cookies."""
        return COOKIE if COOKIE in self.modes else next((mode for mode in self.modes if mode != BODY), COOKIE)

    @cached_property
    def methods_by_backend(self) -> Mapping[str, tuple[str, ...]]:
        """The methods of `backend_methods` by the dotted path of the backend."""
        return dict(self.backend_methods)

    @cached_property
    def known_methods(self) -> frozenset[str]:
        """The authentication methods that a session can have."""
        return REGISTERED.union(self.own_methods)

    def acr_of(self, methods: Iterable[str]) -> str | None:
        """Return the highest value of `acr_values` that these methods support, or None."""
        return acr_of(methods, self.acr_values)

    @cached_property
    def _limits(self) -> Mapping[str | None, Limits]:
        return dict(self.lifetimes)

    def limits_of(self, methods: Iterable[str]) -> Limits:
        """Return the limits of `lifetimes` for a session with these methods."""
        return self._limits.get(self.acr_of(methods), _NO_LIMITS) if self.lifetimes else _NO_LIMITS

    @cached_property
    def reopened_sets(self) -> ReopenedSets:
        """The sets of methods of the levels whose idle sessions a factor reopens."""
        return sets_of_reopened(self.lifetimes, self.acr_values)

    @cached_property
    def idle_limits(self) -> IdleLimits:
        """The idle limits of the levels, without those below the lowest that has one."""
        return limits_of_idle(self.lifetimes, self.acr_values)


SETTINGS = {item.name.upper(): item for item in fields(TokenSettings) if item.metadata}
