"""Every setting of `tokens`: its name, its default, its unit and its meaning.

Durations are `datetime.timedelta` here. In Django's settings and in the environment they are whole seconds
(`tokens.conf.reading`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.utils.module_loading import import_string

from tokens.conf.introspection_clients import IntrospectionClient
from tokens.conf.rates import Rates
from tokens.conf.signing_keys import DERIVED
from tokens.protocol.rotation import Policy
from tokens.protocol.signing_keys import EDDSA, SigningKey

COOKIE, SCOPED, SUBDOMAIN, BODY = MODES = "cookie", "scoped", "subdomain", "body"
"""The storage modes: where a client keeps its tokens."""
OFF, OFFER = BINDINGS = "off", "offer"
"""The values of DEVICE_BOUND."""
SHORT_BOUND_LIFETIME = timedelta(seconds=300)
"""With a shorter ACCESS_LIFETIME no session is bound to a device.

Browsers renew the access cookie up to two minutes before it expires, and Chromium signs at most six times in nine
minutes for one site. If more proofs are needed, the user gets 503 until the nine minutes are over.
"""


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
    introspectors: tuple[IntrospectionClient, ...] = ()
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
