"""Examines Django's session only when a view asks for the user or the session, if the request has no token of ours.

A visitor who is not signed in often has a session cookie, for example for a shopping cart. A page that uses neither
must not cost a query, and must not vary on the cookie. This works for WSGI only, because an async view cannot wait for
the database while it reads an attribute. With ATOMIC_REQUESTS nothing is deferred, because a session must not be opened
in the transaction of a view. Nor is it for a session in a signed cookie, which is loaded without a query.

A view can also begin a transaction itself, and ask in it. What was written then would be lost if it is rolled back,
also that a session has ended, and the response would carry tokens that nobody has stored. So nothing is written in it
(`tokens.web.django.in_transaction`), and the session is examined after the view.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.contrib.sessions.backends import signed_cookies
from django.db import connections
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tokens.database.transactions import writer
from tokens.models import RefreshToken
from tokens.web.exchange import Exchange
from tokens.web.http.problems import DATABASE_DOWN
from tokens.web.lazy_user import Lazy


def project_allows() -> bool:
    """Return whether views run outside of a transaction."""
    return not connections[writer(RefreshToken)].settings_dict["ATOMIC_REQUESTS"]


def session_allows(session: Any) -> bool:
    """Return whether the examination of this session can be deferred."""
    return not isinstance(session, signed_cookies.SessionStore)


def has_failed(exchange: Exchange) -> bool:
    """Return whether the database did not answer when a view asked for the session, which was not examined before."""
    return exchange.deferred is not None and exchange.deferred.has_failed


class Deferred:
    """The examination of a request's session. ``examine`` does it, and ``user`` returns the user that is known then.

    ``find_user`` finds out the user in a transaction of the view. It returns whether the session is to be examined
    later.

    A view may put another session on the request, and later put back what was there before (django-allauth does). So
    the object on the request stays valid, and the view's session is left where it is.
    """

    def __init__(
        self,
        request: HttpRequest,
        exchange: Exchange,
        examine: Callable[[], None],
        find_user: Callable[[], bool],
        user: Callable[[], Any],
    ) -> None:
        self._request, self._exchange = request, exchange
        self._examine, self._find_user, self._user = examine, find_user, user
        self._session: Any = request.session
        self._is_due, self._has_found_user, self.has_failed = True, False, False
        self._blocks = _blocks()
        lazy_session: Any = SimpleLazyObject(self._resolved_session)
        lazy_user: Any = Lazy(self._resolved_user)
        request.session = self._lazy = lazy_session
        request.user = lazy_user
        request.auth = SimpleLazyObject(self._resolved_access)  # type: ignore[attr-defined]
        exchange.deferred = self

    def resolve(self) -> None:
        """Examine the session now, unless that is done. In a transaction of the view, only find out the user."""
        is_in_transaction = _blocks() > self._blocks
        if not self._is_due or (is_in_transaction and self._has_found_user):
            return
        self._is_due = False
        present, self._request.session = self._request.session, self._session
        try:
            if is_in_transaction:
                self._is_due, self._has_found_user = self._find_user(), True
            else:
                self._examine()
        except DATABASE_DOWN:
            self.has_failed = True
            raise
        finally:
            self._session = self._request.session
            if present is not self._lazy:
                self._request.session = present
        self._request.auth = self._exchange.access  # type: ignore[attr-defined]

    def close(self) -> None:
        """After the view, put Django's session back on the request.

        It is examined now if the view has asked for the user in a transaction only, and has signed nobody in or out.
        """
        exchange = self._exchange
        is_settled = exchange.signed_in is not None or exchange.signed_out or exchange.is_opened_by_view
        if self._has_found_user and not is_settled:
            # Otherwise the next request does it.
            with suppress(*DATABASE_DOWN):
                self.resolve()
        self._is_due = False
        if self._request.session is self._lazy:
            self._request.session = self._session

    def _resolved_session(self) -> Any:
        self.resolve()
        return self._session

    def _resolved_user(self) -> Any:
        self.resolve()
        return self._user()

    def _resolved_access(self) -> Any:
        self.resolve()
        return self._exchange.access


def _blocks() -> int:
    """Return in how many blocks of ``transaction.atomic`` the running code is."""
    return len(connections[writer(RefreshToken)].atomic_blocks)
