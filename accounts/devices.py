"""The page "Your devices": where the user is signed in. It works without JavaScript.

An anonymous user who submits one of its forms is led to the page to sign in, and from there to "Your devices". If the
request has no refresh token of its session, the next page asks for the current password, and submits the form again.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from accounts import users
from accounts.forms import PasswordForm, RenamingForm, heading_of
from accounts.login_urls import login_url
from accounts.service import passwords
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
            if request.user.is_active:
                return view(request, *args, **kwargs)
        except sessions.SessionEnded:
            pass
        return redirect_to_login(reverse("your-devices"), login_url())

    return guarded


def confirmed_by_password(button: Promise, form_class: type[PasswordForm] = PasswordForm) -> Callable[[_View], _View]:
    """Ask for the current password on a page with this button, if the view raises `RefreshTokenRequired`.

    If the password is right, the view gets the user as its argument ``authenticated``.
    """

    def decorate(view: _View) -> _View:
        @wraps(view)
        def confirmed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            name, user = request.POST.get("send", ""), request.user
            is_given = "current_password" in request.POST and not name
            if not is_given and not name:
                with suppress(sessions.RefreshTokenRequired):
                    return view(request, *args, **kwargs)
            if name:
                sessions.factors.begin(request, user, name)
            own, given = sessions.factors.of_user(user), request.POST if is_given else None
            form = form_class(given, initial=request.POST.dict(), label_suffix="", factors=own)
            if form.is_valid():
                password, method = form.cleaned_data["current_password"], form.cleaned_data.get("method", "password")
                try:
                    known = passwords.authenticated(request, user, password, method)
                    return view(request, *args, authenticated=known, **kwargs)
                except (sessions.RefreshTokenRequired, passwords.WrongPassword):
                    form.add_error("current_password", passwords.wrong(form.cleaned_data))
            page = {"heading": heading_of(own), "text": "", "button": button}
            return render(request, "accounts/account_form.html", {"view": page, "form": form, "is_sent": bool(name)})

        return sensitive_post_parameters("current_password")(never_cache(confirmed))

    return decorate


@method_decorator([never_cache, require_user], "dispatch")
class Home(TemplateView):
    """The page "Your devices"."""

    template_name = "accounts/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        current = sessions.current_id(self.request)
        live = list(sessions.live_sessions(self.request.user))
        now = timezone.now()
        names = Counter(session.device.name for session in live)
        user: Any = self.request.user
        return super().get_context_data(
            address=users.address_of(user) or user.get_username(),
            has_address=users.has_addresses(),
            current=current,
            idle=[session for session in live if session.is_idle(now)],
            lacking=[session for session in live if sessions.lacks_factor(session)],
            # Where a name occurs twice, the time of the sign-in follows it.
            ambiguous=[name for name, number in names.items() if number > 1],
            here=[session for session in live if session.id == current],
            elsewhere=[session for session in live if session.id != current],
            **kwargs,
        )


class Rename(Home):
    """Set the name of the device of one of the user's sessions. Show the page again if the name is not valid."""

    http_method_names = ["post"]

    @method_decorator(confirmed_by_password(gettext_lazy("Save"), RenamingForm))
    def post(self, request: HttpRequest, session_id: UUID, authenticated: Any = None) -> HttpResponse:
        session = get_object_or_404(sessions.live_sessions(request.user), id=session_id)
        form = DeviceNameForm(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(renamed=session.id, form=form))
        sessions.rename_device(request, session, form.cleaned_data["name"], authenticated=authenticated)
        _tell(request, _("The device is called “%(name)s” now.") % {"name": session.device.name})
        return redirect("your-devices")


@require_POST
@require_user
@confirmed_by_password(gettext_lazy("Sign out"))
def end_session(request: HttpRequest, session_id: UUID, authenticated: Any = None) -> HttpResponse:
    """End one of the user's sessions. Any other session than the current one requires a recent sign-in."""
    session = get_object_or_404(sessions.live_sessions(request.user), id=session_id)
    if session.id == sessions.current_id(request):
        sessions.revoke(request, session.id, authenticated=authenticated)
        return redirect("signed-out")
    if not _is_recent(request, authenticated):
        return redirect_to_login(reverse("your-devices"), "sign-in-again")
    sessions.revoke(request, session.id, authenticated=authenticated)
    _tell(request, _("“%(name)s” is signed out.") % {"name": session.device.name})
    return redirect("your-devices")


@require_POST
@require_user
@confirmed_by_password(gettext_lazy("Sign out everywhere else"))
def end_others(request: HttpRequest, authenticated: Any = None) -> HttpResponse:
    """End all sessions of the user except the current one. This requires a recent sign-in."""
    if not _is_recent(request, authenticated):
        return redirect_to_login(reverse("your-devices"), "sign-in-again")
    sessions.sign_out_elsewhere(request, authenticated=authenticated)
    _tell(request, _("You are signed out everywhere else."))
    return redirect("your-devices")


def _is_recent(request: HttpRequest, authenticated: Any) -> bool:
    """Return whether the user has authenticated recently. A request without a refresh token asks for the password."""
    if authenticated is not None or sessions.is_recent(request):
        return True
    if not sessions.has_refresh_token(request):
        raise sessions.RefreshTokenRequired
    return False


def _tell(request: HttpRequest, text: str) -> None:
    """Show a text on the next page, if the project has Django's messages."""
    messages.success(request, text, fail_silently=True)
