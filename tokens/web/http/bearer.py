"""The access token that a client sends in a header, and not in a cookie."""

from django.http import HttpRequest


def bearer_token(request: HttpRequest) -> str | None:
    """Return the token of an ``Authorization: Bearer`` header (RFC 6750 section 2.1), or None without one.

    It may be another package's. `Exchange.by_bearer` says whether it is ours.
    """
    # ``request.headers`` would parse all headers for this one.
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
