"""The origin check: where an unsafe request may come from.

The rule that Go's ``net/http.CrossOriginProtection`` made standard. A request passes if its ``Origin`` is trusted;
else if ``Sec-Fetch-Site`` says that it is our own page's, or no page's; else, where that header is missing, if
``Origin`` is ours, or is missing too, for then it is no browser. Origins are compared whole: scheme, host and port.
"""

from django.http import HttpRequest

from tokens.conf import token_settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def is_unsafe(request: HttpRequest) -> bool:
    """Whether the request may change something (RFC 9110 section 9.2.1)."""
    return request.method not in SAFE_METHODS


def is_cross_origin(request: HttpRequest) -> bool:
    """Whether a browser sent this request for a page of an origin that is not ours, nor trusted."""
    found = token_settings()
    origin = request.META.get("HTTP_ORIGIN")
    if origin in found.trusted_origins:
        return False
    site = request.META.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and origin != found.origin
