"""The page "Security": all ways into the account, the devices, and what has happened lately."""

import json
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from factors.service import passkeys, recovery_codes, totp
from factors.views import Own
from tokens import sessions

EVENTS = 10
"""How many security events the page shows."""
_ABOUT_A_FACTOR = (sessions.Kind.FACTOR_ADDED, sessions.Kind.FACTOR_REMOVED)


@method_decorator(never_cache, "dispatch")
class Security(Own, TemplateView):
    template_name = "factors/security.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        names = sessions.factors.offered(self.request, user)
        return super().get_context_data(
            labels=[sessions.factors.label_of(name) for name in names],
            has_password="password" in names,
            change_password=_url("change-password"),
            has_passkeys=passkeys.are_on(),
            passkeys=passkeys.of_user(user),
            signal=signal(self.request),
            app=totp.of_user(user),
            left=recovery_codes.left(user),
            has_codes=recovery_codes.has_some(user),
            devices=sessions.live_sessions(user),
            devices_page=_url("your-devices"),
            current=sessions.current_id(self.request),
            events=[(event, _what(event)) for event in sessions.recent_events(user, EVENTS)],
            **kwargs,
        )


def signal(request: HttpRequest) -> str:
    """Return what a page's script tells the browser about the user's passkeys, as JSON. "": there were never any."""
    accepted = passkeys.accepted(request, request.user)
    return json.dumps(accepted) if accepted["user_handle"] else ""


def _what(event: Any) -> str:
    """Return which factor a security event is about, or ""."""
    return str(sessions.factors.label_of(event.reason.partition(":")[0])) if event.kind in _ABOUT_A_FACTOR else ""


def _url(name: str) -> str:
    """Return the URL of a page of `accounts`, or "" if the project has none."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
