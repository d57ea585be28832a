"""Who sent a request: the client's address, read through trusted proxies only, and its device token."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest

from tokens.service.client import Client
from tokens.web import cookies

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_DEVICE_TOKEN = 100


def client_of(request: HttpRequest, device_token: str | None = None) -> Client:
    """Return who sent the request. ``device_token`` comes from the body, and takes precedence over the cookie."""
    token, is_doubtful = (device_token, False) if device_token else cookies.read_device(request)
    return Client(
        ip=client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        device_token=token if token and len(token) <= MAX_DEVICE_TOKEN else None,
        is_device_doubtful=is_doubtful,
    )


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address: the last one in ``X-Forwarded-For`` that is not in ``TRUSTED_PROXIES``.

    If the request does not come from a trusted proxy, the header is ignored, because any client can set it.
    """
    address = _parse(request.META.get("REMOTE_ADDR", ""))
    proxies = _trusted_proxies()
    for forwarded in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if address is None or not any(address in proxy for proxy in proxies):
            break
        if (behind := _parse(forwarded)) is None:
            break
        address = behind
    return str(address) if address else None


def is_within(request: HttpRequest, networks: Iterable[str]) -> bool:
    """Return whether the request was sent from one of these addresses or networks.

    False if a proxy that is not in ``TRUSTED_PROXIES`` has forwarded it, because its origin is then unknown.
    """
    text = client_ip(request)
    if text is None or (_is_passed_on(request) and text == str(_parse(request.META["REMOTE_ADDR"]))):
        return False
    address = ipaddress.ip_address(text)
    return any(address in ipaddress.ip_network(network) for network in networks)


def _is_passed_on(request: HttpRequest) -> bool:
    return any(name in request.headers for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"))


@lru_cache(maxsize=1024)
def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # Remove the scope ("%eth0"), which is local, and unwrap a mapped IPv4 address.
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


@lru_cache(maxsize=1)
def _trusted_proxies() -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(proxy) for proxy in getattr(settings, "TRUSTED_PROXIES", ()))


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "TRUSTED_PROXIES":
        _trusted_proxies.cache_clear()
