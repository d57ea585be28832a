"""Step-up: a view asks for a higher level, or a more recent authentication, than the session has (RFC 9470).

A request that falls short gets the problem `insufficient_user_authentication`, and the challenge of section 3. A page
leads to the page that asks the user to authenticate again, and from there back. The access token decides first. If it
falls short, the session's row decides, because another request may have authenticated the user meanwhile.

With a maximum age of zero the row alone decides: the user must have authenticated within `JUST_NOW`. That is long
enough to repeat the request, so that nobody is asked for ever. If no factor of the account reaches the level, nobody is
asked at all: the answer is 403.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.protocol.methods import added, names_in
from tokens.service import queries
from tokens.web import factors
from tokens.web.exchange import Exchange, exchange_of
from tokens.web.factors import Factor
from tokens.web.http import problems
from tokens.web.http.problems import Problem
from tokens.web.operations import reopenable

JUST_NOW = timedelta(seconds=60)
"""How long after an authentication a request passes that has to be authenticated anew."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """The lowest level (ACR_VALUES), and how long ago the user may have authenticated at most. Empty, None: any."""

    acr: str = ""
    max_age: timedelta | None = None

    @property
    def levels(self) -> list[str]:
        """The levels that are enough, the lowest first."""
        known = [level for level, _sets in token_settings().acr_values]
        if self.acr not in known:
            raise ImproperlyConfigured(f"{self.acr!r} is no level of ACR_VALUES.")
        return known[known.index(self.acr) :]

    def is_met(self, acr: Any, at: datetime | None, now: datetime) -> bool:
        """Return whether a session with this level, whose user authenticated ``at`` this time, is good enough."""
        if self.acr and acr not in self.levels:
            return False
        return self.max_age is None or (at is not None and now - at <= (self.max_age or JUST_NOW))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a request lacks. ``offered``: the factors of the account that are enough. ``problem``: the answer.

    ``more``: further members of a problem that asks for no level and no age.
    """

    problem: Problem
    requirement: Requirement
    offered: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> dict[str, Any]:
        """Further members of the problem."""
        if self.problem.code != problems.INSUFFICIENT.code:
            return self.more
        found: dict[str, Any] = {"offered": [*self.offered]}
        if self.requirement.acr:
            found["acr_values"] = self.requirement.levels
        if self.requirement.max_age is not None:
            found["max_age"] = int(self.requirement.max_age.total_seconds())
        return found


def requirement(acr: str = "", max_age: int | timedelta | None = None) -> Requirement:
    """Return a requirement. ``max_age`` is in seconds, or a duration."""
    if max_age is not None and not isinstance(max_age, timedelta):
        max_age = timedelta(seconds=max_age)
    if not acr and max_age is None:
        raise ImproperlyConfigured("Step-up needs a level (acr), or a maximum age (max_age), or both.")
    return Requirement(acr, max_age)


def requires(*, acr: str = "", max_age: int | timedelta | None = None) -> Callable[[Any], Any]:
    """Let a view of Django answer only users who have authenticated so well, and so recently. Sync and async.

    An anonymous user is asked to sign in. For a class-based view use it with `method_decorator` on ``dispatch``.
    """
    found = requirement(acr, max_age)

    def decorate(view: Any) -> Any:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            answer = refuse(request, found)
            return view(request, *args, **kwargs) if answer is None else answer

        @wraps(view)
        async def aguarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            answer = await sync_to_async(refuse)(request, found)
            return await view(request, *args, **kwargs) if answer is None else answer

        return aguarded if _is_async(view) else guarded

    return decorate


def _is_async(view: Any) -> bool:
    """Return whether a call of this view returns a coroutine: also of the method of an async class-based view.

    `method_decorator` passes that method as a partial, whose object knows it.
    """
    of_class = getattr(getattr(view, "func", view), "__self__", None)
    return iscoroutinefunction(view) or getattr(of_class, "view_is_async", False)


def refuse(request: HttpRequest, required: Requirement) -> HttpResponseBase | None:
    """Return the answer to a request that falls short, or None."""
    lacking = shortfall(request, request.user, required)
    if lacking is None:
        return None
    if problems.wants_page(request) and (page := _page(request, lacking)):
        return page
    return problems.respond(request, lacking.problem, **lacking.members)


def shortfall(request: HttpRequest, user: Any, required: Requirement) -> Shortfall | None:
    """Return what a request of this user lacks, or None. The row is read only if the access token is not enough.

    A user whom something else has authenticated, such as another middleware, has no session that says how.
    """
    exchange = exchange_of(request)
    access = exchange.access if exchange is not None else None
    if exchange is None or access is None:
        return Shortfall(exchange.problem if exchange is not None else problems.NOT_AUTHENTICATED, required)
    exchange.note_user_asked()
    if str(user.pk) != access.subject:
        return Shortfall(problems.NOT_AUTHENTICATED, required)
    if access.actor is not None:
        return Shortfall(problems.PERMISSION_DENIED, required)  # Nobody can prove to be the user.
    if required.max_age != timedelta() and _is_met_by_token(required, access, exchange):
        return None
    session = queries.session_of(access)
    if session is None:
        problem, more = reopenable.problem_of(request)
        return Shortfall(problem, required, more=more)
    level = token_settings().acr_of(session.amr)
    if required.is_met(level, session.authenticated_at, session.now):
        return None
    offered = _enough(session, required)
    if not offered:
        return Shortfall(problems.OUT_OF_REACH, required)
    return Shortfall(_challenge(required), required, tuple(offered))


def _is_met_by_token(required: Requirement, access: AccessToken, exchange: Exchange) -> bool:
    at = None if access.authenticated_at is None else instant(access.authenticated_at)
    return required.is_met(access.claims.get("acr"), at, timezone.now())


def factors_for(request: HttpRequest, acr: str) -> dict[str, Factor]:
    """Return the factors of the request's user that are enough for a level, by their names.

    All of them, if there is no such level or no session.
    """
    exchange = exchange_of(request)
    access = exchange.access if exchange is not None else None
    session = queries.session_of(access) if access is not None else None
    if session is None or acr not in [level for level, _sets in token_settings().acr_values]:
        return factors.of_user(request.user)
    return _enough(session, Requirement(acr))


def _enough(session: RefreshToken, required: Requirement) -> dict[str, Factor]:
    """Return the factors of the account with which the session reaches the level.

    If no factor is enough by itself, return all, if they are enough together: the user is then asked once more.
    """
    own = factors.of_user(session.user)
    if not required.acr:
        return own

    def reached(*given: Factor) -> bool:
        names = added(session.methods, {name: 0 for factor in given for name in factor.proves})
        return token_settings().acr_of(names_in(names)) in required.levels

    alone = {name: factor for name, factor in own.items() if reached(factor)}
    return alone or (own if reached(*own.values()) else {})


def _challenge(required: Requirement) -> Problem:
    """Return the problem with the challenge of RFC 9470 section 3."""
    parts = ['error="insufficient_user_authentication"', f'error_description="{problems.INSUFFICIENT.detail}"']
    if required.acr:
        parts.append(f'acr_values="{" ".join(required.levels)}"')
    if required.max_age is not None:
        parts.append(f'max_age="{int(required.max_age.total_seconds())}"')
    return replace(problems.INSUFFICIENT, challenge=", ".join(parts))


def _page(request: HttpRequest, lacking: Shortfall) -> HttpResponseBase | None:
    """Return a redirect to the page that asks for what is lacking, and that leads back. None: there is none."""
    back = _way_back(request)
    if lacking.problem.code == problems.PERMISSION_DENIED.code:
        return None
    if lacking.problem.code != problems.INSUFFICIENT.code:
        return redirect_to_login(back)
    try:
        url = resolve_url(token_settings().reauthentication_url)
    except NoReverseMatch:
        return None
    asked = {REDIRECT_FIELD_NAME: back, **({"acr": lacking.requirement.acr} if lacking.requirement.acr else {})}
    return HttpResponseRedirect(f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(asked)}")


def _way_back(request: HttpRequest) -> str:
    """Return the path of the page to come back to: this one, or the one whose form was sent."""
    if request.method in {"GET", "HEAD"}:
        return request.get_full_path()
    referer = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(referer, {request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(referer)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path or "/"
    return "/"
