"""The adapter for django-hijack: its views begin and end impersonations (`tokens.sessions.impersonate`).

In ``MIDDLEWARE``, put our middleware in the place of ``hijack.middleware.HijackUserMiddleware``, which it is a subclass
of::

    "tokens.contrib.hijack.HijackUserMiddleware"

django-hijack signs the user in by `django.contrib.auth.login`, and then sends a signal. Without the adapter this would
be a sign-in of the user. ``HIJACK_PERMISSION_CHECK`` decides who may impersonate whom. If `tokens.sessions.impersonate`
refuses nevertheless, the response is 403, and the sessions of before continue, Django's session too.

django-hijack's views lock the row of the request's user, and only then the other row is known. Importing this module
makes them lock both, in the same order as all other transactions do.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_protect
from hijack import middleware, views
from hijack.signals import hijack_ended, hijack_started

from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.service import users
from tokens.service.impersonation import ImpersonationRefused
from tokens.service.issuing import IssuedTokens
from tokens.service.users import SessionEnded
from tokens.web.django import django_session, last_login
from tokens.web.exchange import required_exchange
from tokens.web.operations import impersonation

_HISTORY = "hijack_history"
"""The key in Django's session of the primary keys of the actors. django-hijack releases the last one."""


class HijackUserMiddleware(middleware.HijackUserMiddleware):  # type: ignore[misc]
    """django-hijack's middleware. ``request.user.is_hijacked`` says whether our session is an impersonation."""

    @staticmethod
    def setup_user(request: HttpRequest, user: Any) -> Any:
        user.is_hijacked = impersonation.actor_id(request) is not None
        return user

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        """Insert django-hijack's bar with the button that releases, into every page of an impersonation."""
        if impersonation.actor_id(request) is not None:
            request.session.get(_HISTORY)  # Its own method inserts nothing if the session was not read.
        return super().process_response(request, response)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> Any:
        """Answer a release whose first response was lost. Such a request is not authenticated any more."""
        match = request.resolver_match
        is_release = match is not None and "hijack" in match.app_names and match.url_name == "release"
        if not is_release or request.method != "POST" or request.user.is_authenticated:
            return None
        return csrf_protect(partial(_release_again, view))(request)


def _release_again(view: Any, request: HttpRequest) -> HttpResponse:
    try:
        impersonation.release(request)
    except SessionEnded:
        raise ImpersonationRefused from None
    released = view.view_class(**view.view_initkwargs)
    released.setup(request)
    return HttpResponseRedirect(released.get_success_url())


def _dispatch(view: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
    """Carry out a view of django-hijack, with the rows of both users locked.

    Its own lock comes in another order, so that two people who impersonate each other could deadlock. It is also FOR
    UPDATE, for which every commit waits that has inserted a row of the user (`tokens.service.users`).

    The view writes to Django's session before it sends its signal. So what we refuse is refused before the view.
    """
    actor_id = impersonation.actor_id(request)
    with durable(writer(RefreshToken)):
        if isinstance(view, views.AcquireUserView):
            impersonation.check_begin(request, _user_key(view))
        else:
            users.lock_users(writer(RefreshToken), *({request.user.pk, actor_id} - {None}))
            impersonation.check_device(request)
        _prepare(request, actor_id)
        return super(views.LockUserTableMixin, view).dispatch(request, *args, **kwargs)


def _user_key(view: views.AcquireUserView) -> Any:
    try:
        return view.get_object().pk
    except ValidationError:
        raise Http404 from None


def _prepare(request: HttpRequest, actor_id: Any) -> None:
    """Write to Django's session what the view reads from it.

    Our sessions do not depend on Django's, so that it may be empty, or of another user.
    """
    session: Any = request.session
    user: Any = request.user
    if session.get(SESSION_KEY) != user._meta.pk.value_to_string(user) or BACKEND_SESSION_KEY not in session:
        django_session.sign_in(request, user)
    history = [] if actor_id is None else [str(actor_id)]
    if session.get(_HISTORY, []) != history:
        session[_HISTORY] = history


views.LockUserTableMixin.dispatch = _dispatch


@receiver(hijack_started)
def begin(*, request: HttpRequest, hijacked: Any, **kwargs: Any) -> None:
    """Turn the sign-in of django-hijack's view into an impersonation."""
    _carry_out(request, partial(impersonation.begin, request, hijacked))


@receiver(hijack_ended)
def end(*, request: HttpRequest, **kwargs: Any) -> None:
    """Turn the sign-in of django-hijack's view into the end of the impersonation."""
    _carry_out(request, partial(impersonation.end, request))


def _carry_out(request: HttpRequest, step: Callable[[], IssuedTokens]) -> None:
    last_login.replace()
    try:
        issued = step()
    except (ImpersonationRefused, SessionEnded):
        # The view has already written its sign-in to Django's session.
        required_exchange(request).signed_in = None
        request.session.flush()
        raise
    django_session.note_opened(request, issued.session.id)
