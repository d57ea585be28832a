"""The pages about sessions, server-rendered; they work without JavaScript.

A form that has not said who asks leads to the page to sign in, and from there to *Your devices*, not to itself again.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from tokens.exchange import required_exchange
from tokens.models import RefreshToken
from tokens.network import client_of
from tokens.service import keeping
from tokens.service.client import MAX_NAME, without_control_characters
from tokens.service.ending import end, end_all

_Reason = RefreshToken.Reason
_View = Callable[..., HttpResponseBase]


class DeviceNameForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name of the device"), max_length=MAX_NAME, validators=[without_control_characters]
    )


def for_the_owner(view: _View) -> _View:
    """Lead everybody to the page to sign in who is not, or is gone since the access token was minted."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_active:
            return redirect_to_login(reverse("home"))
        return view(request, *args, **kwargs)

    return guarded


@method_decorator([never_cache, for_the_owner], "dispatch")
class Home(TemplateView):
    """*Your devices*: who somebody is, and where they are signed in."""

    template_name = "home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        current = self.request.auth.session_id  # type: ignore[attr-defined]
        sessions = list(keeping.live_sessions(self.request.user))
        return super().get_context_data(
            current=current,
            here=[session for session in sessions if session.id == current],
            elsewhere=[session for session in sessions if session.id != current],
            **kwargs,
        )


class Rename(Home):
    """Give the device of one of the user's sessions a name; *Your devices* again if that is none."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, session_id: UUID) -> HttpResponse:
        session = get_object_or_404(keeping.live_sessions(request.user), id=session_id)
        form = DeviceNameForm(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(renamed=session.id, form=form))
        keeping.rename_device(session, form.cleaned_data["name"])
        messages.success(request, _("The device is called “%(name)s” now.") % {"name": session.device.name})
        return redirect("home")


@require_POST
@for_the_owner
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of the user's own sessions; another one than this only if the sign-in is recent."""
    session = get_object_or_404(keeping.live_sessions(request.user), id=session_id)
    access = request.auth  # type: ignore[attr-defined]
    rows = RefreshToken.objects.filter(id=session.id)
    if session.id == access.session_id:
        end(rows, _Reason.SIGNED_OUT, client=client_of(request))
        required_exchange(request).end()
        return redirect("signed-out")
    if not keeping.is_recent(access):
        return _ask_for_the_password()
    end(rows, _Reason.ENDED_BY_USER, client=client_of(request))
    messages.success(request, _("“%(name)s” is signed out.") % {"name": session.device.name})
    return redirect("home")


@require_POST
@for_the_owner
def end_others(request: HttpRequest) -> HttpResponse:
    """End all of the user's sessions but this one, if the sign-in is recent."""
    access = request.auth  # type: ignore[attr-defined]
    if not keeping.is_recent(access):
        return _ask_for_the_password()
    others = keeping.live_sessions(request.user).exclude(id=access.session_id)
    end_all(others, _Reason.ENDED_BY_USER, client=client_of(request))
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("home")


def _ask_for_the_password() -> HttpResponse:
    return redirect_to_login(reverse("home"), "sign-in-again")
