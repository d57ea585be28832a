r"""The cookies: their names, and the values that a request has under a name.

========================  ===============================  ======================================================
the access token          ``__Host-access``                modes ``cookie`` and ``scoped``
\                         ``__Secure-access``, Domain=     mode ``subdomain``: sent to all hosts of the site
the refresh token         ``__Host-Http-refresh``          modes ``cookie`` and ``subdomain``: only this host
\                         ``__Http-refresh``, Path=        mode ``scoped``: sent only to the auth API
the device token          ``__Host-Http-device``           kept when the user signs out
an open browser           ``__Host-open``                  for bound sessions without "remember me"
a claim to be bound       ``__Host-claim``                 after a registration without the refresh token
a voucher                 ``__Host-Http-voucher``          mode ``cookie``: shows who changes a bound session's account
\                         ``__Http-voucher``, Path=        mode ``scoped``: the same, sent only to the auth API
a pending sign-in         ``__Host-pending``               until a second factor was given, at most ten minutes
a sign-in by passkey      ``__Host-passkey``               until the browser is closed: whose challenge it is
========================  ===============================  ======================================================

All are HttpOnly and Secure, and all but ``__Host-open`` are SameSite=Lax. The prefix ``__Host-`` makes the browser
enforce Path=/ and no Domain (RFC 6265bis section 4.1.3.2). The prefixes ``__Host-Http-`` and ``__Http-`` also make it
refuse a cookie that a script sets (Chromium from 140 on, Firefox from 143 on). The access cookie has no such prefix,
because Chromium refuses to bind a cookie with it to a device. ``__Host-open`` is SameSite=None: it has to be sent with
a refresh that follows a link on another site, and it identifies nobody. The access cookie lives as long as the refresh
cookie, so that the server sees an expired token. The access cookie of a bound session (`tokens.protocol.dbsc`) lives
only as long as its token, because the browser refreshes when it is missing.

A sibling host can set a cookie with the name ``__Http-refresh``. So it is read only below the auth API, and counts only
together with the device cookie of its session. Of several such cookies, the one that fits is taken.

The refresh and device cookies had the names ``__Host-refresh``, ``__Secure-refresh`` and ``__Host-device`` before. Both
names are read, and HTTP_COOKIE_NAMES says which is written. The older name counts only if there is no cookie of the new
name, and only for tokens that were issued for it (`refresh_tokens.HTTP`, `devices.HTTP`): since the new names are
written, there are no new ones. Such a refresh token ends with its session, and such a device token `devices.LIFETIME`
after its device was first seen. The response that sets the new name deletes the older one.

With COOKIE_SUFFIX all names end in a hyphen and this text. Browsers send a cookie to all ports of its host, so two
sites with Latchkey on one host would overwrite the cookies of each other. A path would not keep them apart: a name that
begins with ``__Host-`` allows only Path=/.

If `TokenSettings.origin` is http, which is allowed only in development, names have no prefix and cookies are not
Secure, because not every browser keeps such cookies from http://localhost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from tokens.conf import COOKIE, SCOPED, SUBDOMAIN, token_settings
from tokens.protocol.bounded_cache import BoundedCache
from tokens.web.http.paths import auth_api

REMEMBERED = 6 * 2**20
"""Bytes of parsed ``Cookie`` headers that a process remembers. A browser sends the same header many times."""
OF_ONE = 400
"""Bytes that a parsed cookie takes beside its text."""

Choose = Callable[[Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie. ``plain`` is its name without a prefix, for development over http. ``older`` is its name of before."""

    prefixed: str
    plain: str
    older: str | None = None

    @property
    def name(self) -> str:
        """The name under which the cookie is written."""
        found = token_settings()
        if not found.secure:
            return self.plain + found.suffix
        return (self.older if self.older and not found.http_cookie_names else self.prefixed) + found.suffix

    @property
    def older_name(self) -> str | None:
        """The name of before, as browsers send it, or None."""
        return self.older + token_settings().suffix if self.older else None

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which the cookie is read. The first that is there counts."""
        found = token_settings()
        if not found.secure:
            return (self.plain + found.suffix,)
        names = (self.prefixed, self.older) if self.older else (self.prefixed,)
        return tuple(name + found.suffix for name in names) if found.suffix else names

    @property
    def path(self) -> str:
        return (auth_api() or "/") if self in {SCOPED_REFRESH, SCOPED_VOUCHER} else "/"

    @property
    def domain(self) -> str | None:
        return (token_settings().cookie_domain or None) if self is SITE_ACCESS else None


HOST_ACCESS = Cookie("__Host-access", "access")
SITE_ACCESS = Cookie("__Secure-access", "site-access")
HOST_REFRESH = Cookie("__Host-Http-refresh", "refresh", "__Host-refresh")
SCOPED_REFRESH = Cookie("__Http-refresh", "scoped-refresh", "__Secure-refresh")
DEVICE = Cookie("__Host-Http-device", "device", "__Host-device")
OPEN = Cookie("__Host-open", "open")
CLAIM = Cookie("__Host-claim", "claim")
VOUCHER = Cookie("__Host-Http-voucher", "voucher")
SCOPED_VOUCHER = Cookie("__Http-voucher", "scoped-voucher")
PENDING = Cookie("__Host-pending", "pending")
PASSKEY = Cookie("__Host-passkey", "passkey")
VOUCHERS = {COOKIE: VOUCHER, SCOPED: SCOPED_VOUCHER}
"""The cookie of the voucher by the storage mode. Only sessions in these modes can be bound."""

_parsed: BoundedCache[str, dict[str, list[str]]] = BoundedCache(REMEMBERED)

OF_MODE = {
    COOKIE: (HOST_ACCESS, HOST_REFRESH),
    SCOPED: (HOST_ACCESS, SCOPED_REFRESH),
    SUBDOMAIN: (SITE_ACCESS, HOST_REFRESH),
}


def read(request: HttpRequest, names: tuple[str, ...], choose: Choose | None = None) -> str | None:
    """Return the value of the first cookie with exactly one of these names. None: there is none.

    Of several cookies with the same name that one counts which ``choose`` returns. Without it none counts.

    ``request.COOKIES`` is not used. Django strips Unicode white space from names, and keeps the last of several
    cookies. Browsers do not enforce the rules of a prefix after a no-break space. So a sibling host could set such a
    cookie, and sign our user in to its own account.
    """
    sent = _all(request)
    for name in names:
        values = sent.get(name)
        if values is None:
            continue
        if len(values) == 1:
            return values[0]
        if choose is not None and (chosen := choose(values)) is not None:
            return chosen
    return None


def join_headers(request: HttpRequest) -> None:
    """Make one ``Cookie`` header of several, as HTTP/2 allows them (RFC 9113 section 8.2.3).

    ASGI servers pass them on as they are, and Django joins them with commas. What has read them before this is
    corrected: ``request.COOKIES`` and ``request.session``, if it was not used yet.
    """
    header = request.META.get("HTTP_COOKIE", "")
    if "," in header and (scope := getattr(request, "scope", None)) is not None:
        _join(request, scope)
    if "\\" in header:
        _drop_session_with_nul(request)


def _join(request: HttpRequest, scope: Mapping[str, Any]) -> None:
    headers = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"cookie"]
    if len(headers) < 2 or request.META["HTTP_COOKIE"] != ",".join(headers):
        return  # It has a comma in a value, or somebody has changed it.
    request.META["HTTP_COOKIE"] = "; ".join(headers)
    request.__dict__.pop("COOKIES", None)
    session = getattr(request, "session", None)
    if session is not None and not session.accessed and not session.modified:
        request.session = type(session)(request.COOKIES.get(settings.SESSION_COOKIE_NAME))


def _drop_session_with_nul(request: HttpRequest) -> None:
    """Let a request have no session whose key has a NUL, which Django reads from ``"\\000"``.

    PostgreSQL accepts none in a text, so each request that reads the session would be an error of the server.
    """
    session, name = getattr(request, "session", None), settings.SESSION_COOKIE_NAME
    if "\0" in request.COOKIES.get(name, ""):
        del request.COOKIES[name]
        if session is not None and "\0" in (session.session_key or ""):
            request.session = type(session)()


def values_by_name(request: HttpRequest, cookie: Cookie) -> dict[str, list[str]]:
    """Return the values of the cookie under each of its names, in the order in which they count."""
    sent = _all(request)
    return {name: sent[name] for name in cookie.names if name in sent}


def is_sent(request: HttpRequest, name: str | None) -> bool:
    """Return whether the request has a cookie of this name with a value."""
    return name in _all(request)


def _all(request: HttpRequest) -> dict[str, list[str]]:
    header = request.META.get("HTTP_COOKIE", "")
    found = _parsed.get(header)
    return _parse(header) if found is None else found


def _parse(header: str) -> dict[str, list[str]]:
    """Return the values in a ``Cookie`` header by name, and remember them.

    Empty values do not count. A proxy that has applied a deletion leaves one.
    """
    found: dict[str, list[str]] = {}
    for chunk in header.split(";"):
        key, _, value = chunk.partition("=")
        # Quotes around a value do not belong to it (RFC 6265 section 4.1.1).
        if value := value.strip(' \t"'):
            found.setdefault(key.strip(" \t"), []).append(value)
    _parsed.put(header, found, 2 * getsizeof(header) + OF_ONE * (1 + header.count(";")))
    return found
