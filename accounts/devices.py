"""The page "Your devices": where the user is signed in. It works without JavaScript.

An anonymous user who submits one of its forms is led to the page to sign in, and from there to "Your devices".
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

from tokens import sessions

_View = Callable[..., HttpResponseBase]


class DeviceNameForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name of the device"),
        max_length=sessions.MAX_DEVICE_NAME,
        validators=[sessions.validate_device_name],
    )


def require_user(view: _View) -> _View:
    """Lead an anonymous user to the page to sign in, and one whose session has ended since the token was issued."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs) if request.user.is_active else redirect_to_login(reverse("home"))
        except sessions.SessionEnded:
            return redirect_to_login(reverse("home"))

    return guarded


@method_decorator([never_cache, require_user], "dispatch")
class Home(TemplateView):
    """The page "Your devices"."""

    template_name = "accounts/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        current = sessions.current_id(self.request)
        live = list(sessions.live_sessions(self.request.user))
        return super().get_context_data(
            current=current,
            here=[session for session in live if session.id == current],
            elsewhere=[session for session in live if session.id != current],
            **kwargs,
        )


class Rename(Home):
    """Set the name of the device of one of the user's sessions. Show the page again if the name is not valid."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, session_id: UUID) -> HttpResponse:
        session = get_object_or_404(sessions.live_sessions(request.user), id=session_id)
        form = DeviceNameForm(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(renamed=session.id, form=form))
        sessions.rename_device(request, session, form.cleaned_data["name"])
        messages.success(request, _("The device is called “%(name)s” now.") % {"name": session.device.name})
        return redirect("home")


@require_POST
@require_user
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of the user's sessions. Any other session than the current one requires a recent sign-in."""
    session = get_object_or_404(sessions.live_sessions(request.user), id=session_id)
    if session.id == sessions.current_id(request):
        sessions.revoke(request, session.id)
        return redirect("signed-out")
    if not sessions.is_recent(request):
        return _reauthenticate()
    sessions.revoke(request, session.id)
    messages.success(request, _("“%(name)s” is signed out.") % {"name": session.device.name})
    return redirect("home")


@require_POST
@require_user
def end_others(request: HttpRequest) -> HttpResponse:
    """End all sessions of the user except the current one. This requires a recent sign-in."""
    if not sessions.is_recent(request):
        return _reauthenticate()
    sessions.sign_out_elsewhere(request)
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("home")


def _reauthenticate() -> HttpResponse:
    return redirect_to_login(reverse("home"), "sign-in-again")
