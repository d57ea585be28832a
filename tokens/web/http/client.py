"""Who sent a request, and how: what proxies say is used only if they are trusted. Also the client's device token."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest

from tokens.conf import codec, token_settings
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.service.client import Client
from tokens.web.http import cookies

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_DEVICE_TOKEN = 100
MAX_ADDRESS = 100
"""Characters of an address with a scope and a port. Longer texts are not parsed, because results are remembered."""
_WITH_PORT = re.compile(r"(?:\[([^][]*:[^][]*)\]|([0-9.]+))(?::[0-9]{1,5})?")
"""An address as proxies write it: an IPv6 address in brackets, or an IPv4 address, each with or without a port."""

_SECONDS = re.compile(r"([0-9]{1,6})(?:\.[0-9]{1,6})?")


def client_of(request: HttpRequest | None, device_token: str | None = None) -> Client:
    """Return who sent the request. ``device_token`` comes from the body, and takes precedence over the cookie.

    Of no request, or of an object in its place that has no ``META``, nothing is known.
    """
    if request is None or not hasattr(request, "META"):
        return Client()
    token, is_doubtful = (device_token, False) if device_token else cookies.read_device(request)
    return Client(
        ip=client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        device_token=token if token and len(token) <= MAX_DEVICE_TOKEN else None,
        is_device_doubtful=is_doubtful,
    )


def presenting_client(request: HttpRequest) -> Client:
    """Return who presents a refresh token, and how long the request was under way, if it took long to arrive."""
    client = client_of(request)
    if under_way := _long_under_way(request):
        client = replace(client, under_way=under_way, late_session=_session_when_sent(request, under_way))
    return client


def _long_under_way(request: HttpRequest) -> timedelta:
    """Return how long a request was under way that took long to arrive, else zero.

    Zero if it took longer than an access token lives. Otherwise an attacker could send a request, and wait with the end
    of its body for as long as the user is active.
    """
    if not (seconds := seconds_under_way(request)):
        return timedelta()
    under_way, found = timedelta(seconds=seconds), token_settings()
    return under_way if found.policy.grace / 2 < under_way <= found.access_lifetime else timedelta()


def _session_when_sent(request: HttpRequest, under_way: timedelta) -> UUID | None:
    """Return the session whose access token the request had, if that was valid when it was sent, or None."""
    try:
        return codec().loads(cookies.read_access(request) or "", datetime.now(UTC) - under_way).session_id
    except InvalidAccessToken:
        return None


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address: the last one in ``X-Forwarded-For`` that is not in ``TRUSTED_PROXIES``.

    If the request does not come from a trusted proxy, the header is ignored, because any client can set it.
    """
    meta = request.META
    found = _sender(request)
    if "HTTP_X_FORWARDED_FOR" in meta:
        for forwarded in reversed(meta["HTTP_X_FORWARDED_FOR"].split(",")):
            behind = _peer(forwarded.strip()) if found.is_trusted else _UNKNOWN
            if behind.address is None:
                break
            found = behind
    return found.address


def distrust_scheme(request: HttpRequest) -> None:
    """Remove the header that says whether the client uses https, if a client has sent it, and no trusted proxy.

    It is the header of Django's ``SECURE_PROXY_SSL_HEADER``. Without TRUSTED_PROXIES it is left alone, because it is
    not known who may send it.
    """
    meta = request.META
    if (header := _scheme_header()) in meta and not _may_say_scheme(meta.get("REMOTE_ADDR", "")):
        del meta[header]


def seconds_under_way(request: HttpRequest) -> int:
    """Return for how many whole seconds the trusted proxy in front has received the request before it forwarded it.

    The proxy says so in ``X-Request-Time``, and overwrites what a client sends (nginx: ``$request_time``). Zero without
    TRUST_REQUEST_TIME, because many proxies pass the header of a client on.
    """
    match = _SECONDS.fullmatch(request.META.get("HTTP_X_REQUEST_TIME", "0"))
    # Almost always it took less than a second, and the rest of this would cost time.
    if match is None or not (seconds := int(match[1])):
        return 0
    return seconds if token_settings().trust_request_time and _sender(request).is_trusted else 0


def is_within(request: HttpRequest, networks: Iterable[str]) -> bool:
    """Return whether the request was sent from one of these addresses or networks.

    False if a proxy that is not in ``TRUSTED_PROXIES`` has forwarded it, because its origin is then unknown.
    """
    text = client_ip(request)
    if text is None or (_is_passed_on(request) and text == _sender(request).address):
        return False
    address = ipaddress.ip_address(text)
    return any(address in ipaddress.ip_network(network) for network in networks)


def _is_passed_on(request: HttpRequest) -> bool:
    return any(name in request.headers for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"))


class _Peer(NamedTuple):
    """A client or a proxy. ``address`` is in the usual form, or None if the text was not an address."""

    address: str | None
    is_trusted: bool


_UNKNOWN = _Peer(None, False)
_AT_SOCKET = _Peer(None, True)
"""A proxy at a Unix socket. It has no address, and only local processes can use the socket."""


def _sender(request: HttpRequest) -> _Peer:
    """Return the client or proxy that is connected to the server."""
    if remote := request.META.get("REMOTE_ADDR"):
        return _peer(remote)
    return _AT_SOCKET if _trusted_proxies() else _UNKNOWN


def _peer(text: str) -> _Peer:
    return _short_peer(text) if len(text) <= MAX_ADDRESS else _UNKNOWN


@lru_cache(maxsize=1024)
def _short_peer(text: str) -> _Peer:
    address = _parse(text)
    return _Peer(str(address), any(address in proxy for proxy in _trusted_proxies())) if address else _UNKNOWN


def _parse(text: str) -> Address | None:
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address(match[1] or match[2] if match else text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # Remove the scope ("%eth0"), which is local, and unwrap a mapped IPv4 address.
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


@lru_cache(maxsize=1)
def _scheme_header() -> str:
    """Return the key in ``request.META`` of the header that only trusted proxies may send, or an empty text."""
    expected: tuple[str, str] | None = settings.SECURE_PROXY_SSL_HEADER
    return expected[0] if expected and _trusted_proxies() else ""


def _may_say_scheme(remote: str) -> bool:
    """Return whether the peer with this address is a trusted proxy. Only local processes can use a Unix socket."""
    peer = _peer(remote)
    return peer.is_trusted or peer.address is None


@lru_cache(maxsize=1)
def _trusted_proxies() -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(proxy) for proxy in getattr(settings, "TRUSTED_PROXIES", ()))


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in {"TRUSTED_PROXIES", "SECURE_PROXY_SSL_HEADER"}:
        for remembered in (_trusted_proxies, _short_peer, _scheme_header):
            remembered.cache_clear()
