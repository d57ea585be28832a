"""Finds settings that contradict each other or are unsafe, as Django's `CheckMessage`.

`tokens.conf.token_settings` raises if there is an `Error`. `tokens.checks` shows errors and warnings as system checks.
"""

import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.checks import CheckMessage, Error, Warning

from tokens.conf.lifetimes import Limits
from tokens.conf.methods import NAME
from tokens.conf.settings import (
    BINDINGS,
    BOUND,
    MODES,
    OFFER,
    REMEMBERING,
    SHORT_BOUND_LIFETIME,
    SUBDOMAIN,
    TokenSettings,
)

SHORT_ACCESS_LIFETIME = timedelta(seconds=60)
"""A shorter lifetime is for trials. Its proportion to the other durations is then a warning, and not an error."""
WEAK_SECRET_KEY = 50, 5, "django-insecure-"
"""A secret is weak if it has fewer characters, fewer different characters, or this prefix (Django's security.W009)."""
_ORIGIN = re.compile(r"(http(?!.*:80$)|https(?!.*:443$))://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?", re.ASCII)
"""An origin as browsers write it (RFC 6454 section 6.2): without the port that is the default of its scheme."""

_SUFFIX = re.compile(r"[A-Za-z0-9]{1,32}")


def validate(found: TokenSettings) -> list[CheckMessage]:
    """Return what is wrong with these settings."""
    return [
        *_modes(found),
        *_audiences(found),
        *_networks(found),
        *_binding(found),
        *_remembering(found),
        *_lifetimes(found),
        *_methods(found),
        *_cookies(found),
        *_durations(found),
        *_origins(found),
        *_secrets(found),
    ]


def _modes(found: TokenSettings) -> Iterator[CheckMessage]:
    hint = f"The storage modes are {', '.join(MODES)}."
    if unknown := [mode for mode in found.modes if mode not in MODES]:
        yield Error(f"MODES contains {unknown[0]!r}, which is not a storage mode.", hint=hint, id="tokens.E003")
    if SUBDOMAIN in found.modes and not _is_within(_host_of(found.origin), found.cookie_domain):
        yield Error(
            "MODES contains 'subdomain', but COOKIE_DOMAIN is not the site of ORIGIN.",
            hint="With ORIGIN https://auth.example.org set COOKIE_DOMAIN to example.org.",
            id="tokens.E014",
        )
    if not found.modes:
        yield Error("MODES is empty.", hint=hint, id="tokens.E015")


def _audiences(found: TokenSettings) -> Iterator[CheckMessage]:
    if found.audience and found.service_audience == found.audience:
        yield Error(
            f"SERVICE_AUDIENCE is the same as AUDIENCE ({found.audience!r}): tokens for services would open accounts.",
            hint="Choose another text, such as https://api.example.org",
            id="tokens.E033",
        )


def _networks(found: TokenSettings) -> Iterator[CheckMessage]:
    for network in found.metrics_allowed:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            hint = "List addresses or networks: 10.0.0.0/8, ::1"
            yield Error(f"METRICS_ALLOWED: {error}.", hint=hint, id="tokens.E031")


def _binding(found: TokenSettings) -> Iterator[CheckMessage]:
    if found.device_bound not in BINDINGS:
        hint = f"Choose one of {', '.join(BINDINGS)}."
        yield Error(f"DEVICE_BOUND is {found.device_bound!r}.", hint=hint, id="tokens.E032")
    if found.device_bound == OFFER and found.access_lifetime < SHORT_BOUND_LIFETIME:
        yield Warning(
            "DEVICE_BOUND: no session is bound to its device, because ACCESS_LIFETIME "
            f"({_text(found.access_lifetime)}) is less than {_text(SHORT_BOUND_LIFETIME)}.",
            hint="Browsers limit how often they sign. The default is 600.",
            id="tokens.W005",
        )


def _remembering(found: TokenSettings) -> Iterator[CheckMessage]:
    if found.remember not in REMEMBERING:
        hint = f"Choose one of {', '.join(REMEMBERING)}."
        yield Error(f"REMEMBER is {found.remember!r}.", hint=hint, id="tokens.E064")
    if found.remember == BOUND and not found.offers_binding:
        yield Warning(
            "REMEMBER is 'bound', but no session is bound to its device: each ends when the browser is closed.",
            hint="Bind sessions (DEVICE_BOUND), over https. If this is what you want, set REMEMBER to never.",
            id="tokens.W055",
        )


def _lifetimes(found: TokenSettings) -> Iterator[CheckMessage]:
    levels = [level for level, _ in found.acr_values]
    if unknown := [level for level, _ in found.lifetimes if level not in levels]:
        hint = f"The levels are {', '.join(levels)}."
        yield Error(f"LIFETIMES has {unknown[0]!r}, which is no level of ACR_VALUES.", hint=hint, id="tokens.E066")
    idle = [limits.idle for _, limits in found.lifetimes if limits.idle]
    if idle and found.access_lifetime > min(idle) / 3:
        yield Warning(
            f"ACCESS_LIFETIME ({_text(found.access_lifetime)}) is more than a third of the shortest idle lifetime in "
            f"LIFETIMES ({_text(min(idle))}).",
            hint="Only a refresh counts as use. A user who was active until just now may have to sign in again.",
            id="tokens.W056",
        )
    own = dict(found.lifetimes)
    lasting = [_longest(found, own.get(level, Limits())) for level in levels] if own and not unknown else []
    for (lower, above), level in zip(pairwise(lasting), levels[1:], strict=False):
        if any(longer > shorter for shorter, longer in zip(lower, above, strict=True)):
            yield Warning(
                f"LIFETIMES lets sessions of {level!r} last longer than those of a lower level.",
                hint="Give each higher level the same lifetimes or shorter ones.",
                id="tokens.W057",
            )


def _longest(found: TokenSettings, limits: Limits) -> tuple[timedelta, timedelta]:
    """Return how long sessions of a level last at most, in all and without being used."""
    idle = max(found.idle_lifetime, found.browser_session_lifetime)
    return min(limits.absolute or timedelta.max, found.absolute_lifetime), min(limits.idle or timedelta.max, idle)


def _methods(found: TokenSettings) -> Iterator[CheckMessage]:
    if wrong := [name for name in found.own_methods if not NAME.fullmatch(name)]:
        yield Error(
            f"OWN_METHODS contains {wrong[0]!r}, which is not the name of a method.",
            hint="Use at most 32 letters, digits, dots, hyphens and underscores of ASCII: badge",
            id="tokens.E061",
        )
    sets = [enough for _, of_level in found.acr_values for enough in of_level]
    for name, named in (("ACR_VALUES", sets), ("BACKEND_METHODS", found.methods_by_backend.values())):
        if unknown := sorted({method for methods in named for method in methods} - found.known_methods):
            yield Error(
                f"{name} contains {unknown[0]!r}, which is not an authentication method.",
                hint="Use the values of RFC 8176 (pwd, otp, pop, …), or add yours to OWN_METHODS.",
                id="tokens.E062",
            )


def _cookies(found: TokenSettings) -> Iterator[CheckMessage]:
    if found.cookie_suffix and not _SUFFIX.fullmatch(found.cookie_suffix):
        yield Error(
            f"COOKIE_SUFFIX is {found.cookie_suffix!r}.",
            hint="Use at most 32 letters and digits of ASCII: shop",
            id="tokens.E046",
        )
    if found.secure and not found.http_cookie_names:
        yield Warning(
            "HTTP_COOKIE_NAMES is false: a script can plant the session of an attacker in a browser.",
            hint="Set it to true when all processes run this release.",
            id="tokens.W009",
        )


def _durations(found: TokenSettings) -> Iterator[CheckMessage]:
    grace, acknowledge_after, access = found.reuse_grace, found.acknowledge_after, found.access_lifetime
    if grace >= acknowledge_after:
        yield Error(
            f"REUSE_GRACE ({_text(grace)}) is not less than ACKNOWLEDGE_AFTER ({_text(acknowledge_after)}).",
            hint="Parallel requests would be taken for theft. The defaults are 30 and 90.",
            id="tokens.E004",
        )
    if acknowledge_after > access / 2:
        # Trials with very short lifetimes must be able to start.
        kind = Error if access >= SHORT_ACCESS_LIFETIME else Warning
        yield kind(
            f"ACKNOWLEDGE_AFTER ({_text(acknowledge_after)}) is more than half of ACCESS_LIFETIME ({_text(access)}).",
            hint="Access tokens would expire before their use could prove receipt, and theft would be detected late.",
            id="tokens.E005",
        )
    if found.policy.strict:
        yield Warning(
            "REUSE_GRACE is 0: parallel requests, retries and lost responses end sessions.",
            hint="Leave it at 30 seconds unless your clients send one request at a time.",
            id="tokens.W001",
        )
    elif grace < acknowledge_after < 2 * grace + timedelta(seconds=30):
        yield Warning(
            f"ACKNOWLEDGE_AFTER ({_text(acknowledge_after)}) is less than twice REUSE_GRACE and 30 s.",
            hint="Browsers take up to 30 s to save their cookies. A crash may sign the user out.",
            id="tokens.W002",
        )


def _origins(found: TokenSettings) -> Iterator[CheckMessage]:
    origins = [("ORIGIN", found.origin), *(("TRUSTED_ORIGINS", origin) for origin in found.trusted_origins)]
    for name, origin in origins:
        if _host_of(origin) is None:
            hint = "Write it as browsers do: https://example.org"
            yield Error(f"{name} is not an origin: {origin!r}.", hint=hint, id="tokens.E006")
        elif name == "TRUSTED_ORIGINS" and origin.startswith("http://") and not _is_development():
            yield _unencrypted(origin)
    if not found.secure and not _is_development():
        yield Error(
            "ORIGIN is not https: cookies could be read on the network.",
            hint="Serve over TLS. For development, set DEBUG.",
            id="tokens.E007",
        )


def _unencrypted(origin: str) -> CheckMessage:
    """Return what is wrong with a trusted origin over http. On this machine it has no network to be changed on."""
    if _is_loopback(str(_host_of(origin))):
        hint = "Any program on a user's machine can serve this page. Remove it when your app is served over TLS."
        return Warning(f"TRUSTED_ORIGINS contains {origin!r}, for development only.", hint=hint, id="tokens.W012")
    hint = "Serve the app over TLS, and write https://. For development, set DEBUG."
    what = "anybody on the network could change its pages, and act for its users"
    return Error(f"TRUSTED_ORIGINS contains {origin!r}, which is not https: {what}.", hint=hint, id="tokens.E034")


def _secrets(found: TokenSettings) -> Iterator[CheckMessage]:
    if _is_development():
        return
    length, different, prefix = WEAK_SECRET_KEY
    secrets = [("SECRET_KEY", settings.SECRET_KEY)]
    secrets += [("SECRET_KEY_FALLBACKS", fallback) for fallback in settings.SECRET_KEY_FALLBACKS]
    for name, secret in secrets:
        if len(secret) < length or len(set(secret)) < different or secret.startswith(prefix):
            yield Error(
                f"{name} is weak. The public keys are derived from it, so it could be guessed offline.",
                hint="Use at least 50 random characters: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
                id="tokens.E008",
            )


def _text(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"


def _is_within(host: str | None, domain: str) -> bool:
    return bool(host and domain) and (host == domain or str(host).endswith(f".{domain}"))


def _is_loopback(host: str) -> bool:
    """Return whether browsers look for this host on their own machine (RFC 6761 section 6.3)."""
    if _is_within(host, "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_development() -> bool:
    """Return whether DEBUG is on in the settings module.

    Test runners switch ``settings.DEBUG`` off, even where the settings are meant for development.
    """
    module = sys.modules.get(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    return settings.DEBUG or getattr(module, "DEBUG", False) is True


def _host_of(origin: str) -> str | None:
    match = _ORIGIN.fullmatch(origin)
    return match[2] if match else None
