"""The pages about sessions, server-rendered; they work without JavaScript."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import user_passes_test
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST
from django.views.generic import TemplateView

from tokens.exchange import required_exchange
from tokens.models import RefreshToken
from tokens.network import client_of
from tokens.service import keeping
from tokens.service.ending import end


class Home(TemplateView):
    """Who somebody is, and where they are signed in."""

    template_name = "home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        access = self.request.auth  # type: ignore[attr-defined]
        sessions = keeping.live_sessions(self.request.user)
        return super().get_context_data(sessions=sessions, current=access.session_id, **kwargs)


@require_POST
@user_passes_test(lambda user: user.is_active)  # Which a token's user who is gone since turns out not to be.
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End one of the user's own sessions; another one than this only if the sign-in is recent."""
    session = get_object_or_404(keeping.live_sessions(request.user), id=session_id)
    access = request.auth  # type: ignore[attr-defined]
    if session.id == access.session_id:
        end(RefreshToken.objects.filter(id=session.id), RefreshToken.Reason.SIGNED_OUT, client=client_of(request))
        required_exchange(request).end()
    elif keeping.is_recent(access):
        end(RefreshToken.objects.filter(id=session.id), RefreshToken.Reason.ENDED_BY_USER, client=client_of(request))
    else:
        return redirect_to_login(reverse("home"))
    return redirect("home")
