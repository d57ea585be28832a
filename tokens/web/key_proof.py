"""Asks the browser of a bound session to sign with its key, before the session changes the account.

A bound session has no refresh token that would show that a request comes from the browser, and not from somebody who
has seen an access token (`tokens.web.possession`). The key shows it::

    a change    →  the access token, and no voucher
                ←  307 to the same URL, without an access cookie, and ``__Host-Http-voucher=wanted`` for a minute
    a refresh   →  ``wanted`` and the proof (`tokens.protocol.dbsc`), which the browser sends before it obeys
                ←  a new access token, and a voucher for five minutes
    the change  →  both: it is carried out

Scripts and forms notice nothing, because browsers repeat the method and the body of a request after 307. A service that
sees access tokens gets no voucher, and neither does the thief of a copy of the cookies. This was searched for other
rules: `tests.tokens.protocol.key_proof_search`.

Chromium signs at most six times in nine minutes for one site. So it is asked seldom, and then the change takes the
password.
"""

from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from tokens.conf import COOKIE, SCOPED, token_settings
from tokens.models import RefreshToken
from tokens.service import binding
from tokens.web import cookies
from tokens.web.cookie_names import SCOPED_VOUCHER, VOUCHER, Cookie, read
from tokens.web.exchange import Exchange

WANTED, WANTED_FOR = "wanted", 60
"""The value of the cookie that asks for a voucher, and for how many seconds the browser keeps it."""
OF_MODE = {COOKIE: VOUCHER, SCOPED: SCOPED_VOUCHER}
"""The cookie by the storage mode. Only sessions in these modes can be bound."""


class KeyProofRequired(Exception):
    """A bound session would change the account, and its browser can prove by its key that it is the one who asks.

    ``mode`` is the storage mode of the session.
    """

    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.mode = mode


def is_possible(request: HttpRequest, exchange: Exchange, mode: str) -> bool:
    """Return whether the browser would sign for this request, if the session is bound. This needs no query.

    It could not just now if it says so by ``Secure-Session-Skipped``. In mode ``scoped`` it sends no voucher to pages.
    """
    return (
        token_settings().offers_binding
        and mode in OF_MODE
        and request.path.startswith(OF_MODE[mode].path)
        and not exchange.by_bearer
        and exchange.issued is None
        and "HTTP_SECURE_SESSION_SKIPPED" not in request.META
        and cookies.read_access(request) is not None
    )


def retry(request: HttpRequest, required: KeyProofRequired) -> HttpResponse:
    """Return a redirect to the same URL, before which the browser signs and gets a voucher."""
    response = cookies.retry_without_access(request)
    _set(response, OF_MODE[required.mode], WANTED, WANTED_FOR)
    return response


def answer(request: HttpRequest, response: HttpResponseBase, session: RefreshToken) -> None:
    """Give the browser a voucher for the proof that it has just sent, if that was asked for."""
    cookie = OF_MODE[session.mode]
    if read(request, cookie.names) == WANTED:
        _set(response, cookie, binding.voucher(session), int(binding.VOUCHER_LIFETIME.total_seconds()))


def has_voucher(request: HttpRequest, session_id: UUID) -> bool:
    """Return whether the request has a good voucher of this session. This needs no query."""
    found = [text for cookie in OF_MODE.values() if (text := read(request, cookie.names)) is not None]
    return any(binding.is_voucher(text, session_id, datetime.now(UTC)) for text in found)


def _set(response: HttpResponseBase, cookie: Cookie, value: str, seconds: int) -> None:
    response.set_cookie(
        cookie.name, value, max_age=seconds, path=cookie.path, secure=True, httponly=True, samesite="Lax"
    )
