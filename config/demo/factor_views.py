"""A page of the demo on which to try passkeys and codes. The page "Security" and the page to sign in do the work."""

from django.contrib import messages
from django.contrib.auth.decorators import user_passes_test
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from tokens import sessions

LEVEL = "aal2"


@require_GET
@never_cache
@user_passes_test(lambda user: user.is_active)
def show(request: HttpRequest) -> HttpResponse:
    """Show by what the session was opened, and what can be tried."""
    current = sessions.current_id(request)
    session = next((found for found in sessions.live_sessions(request.user) if found.id == current), None)
    context = {"session": session, "can_step_up": bool(sessions.factors_for(request, LEVEL))}
    return render(request, "demo/factors.html", context)


@require_GET
@never_cache
@sessions.requires(acr=LEVEL, max_age=0)
def step_up(request: HttpRequest) -> HttpResponse:
    """A view that asks for more than a password, each time."""
    messages.success(request, _("The view was reached: you have just proved who you are by two factors."))
    return redirect("demo-factors")
