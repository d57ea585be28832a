"""The origin check, which prevents cross-site request forgery: an unsafe request that does not pass is rejected.

A safe request that does not pass is not refreshed (`tokens.web.incoming`).

The rule is that of Go's ``net/http.CrossOriginProtection``. A request passes if its ``Origin`` is trusted. Otherwise it
passes if ``Sec-Fetch-Site`` says that a page of our own origin has sent it, or no page. Without that header it passes
if ``Origin`` is ours, or missing too, because it then does not come from a browser. It also passes if ``Origin`` is the
origin of the host that the request was sent to, if that is in ALLOWED_HOSTS: the project may have a second host. A
browser sends the cookies of one host only to that host. Origins are compared with scheme, host and port. The scheme is
always that of ORIGIN, because a page over http may have been changed on the network.
"""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from tokens.conf import token_settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def is_unsafe(request: HttpRequest) -> bool:
    """Return whether the request's method may change something (RFC 9110 section 9.2.1)."""
    return request.method not in SAFE_METHODS


def is_cross_origin(request: HttpRequest) -> bool:
    """Return whether a page of another origin, which is not trusted, made a browser send this request."""
    found = token_settings()
    origin = request.META.get("HTTP_ORIGIN")
    if origin in found.trusted_origins:
        return False
    site = request.META.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and origin != found.origin and origin != addressed(request)


def addressed(request: HttpRequest) -> str | None:
    """Return the origin that the request was sent to, or None if its host is not in ALLOWED_HOSTS."""
    scheme, _, _ = token_settings().origin.partition("://")
    try:
        return f"{scheme}://{request.get_host()}"
    except DisallowedHost:
        return None
