"""The project, and views of an app that uses it: another way to sign in, and an image for signed-in users."""

from base64 import b64decode
from typing import Any

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

from tests.browser.urls import handler400, handler403, handler404, handler500
from tests.browser.urls import urlpatterns as with_probes

__all__ = ["handler400", "handler403", "handler404", "handler500"]

PIXEL = b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")
"""The smallest GIF."""


def magic(request: HttpRequest) -> HttpResponse:
    """Sign in by a link, like those in mails or on other sites."""
    user: Any = get_user_model()._default_manager.get(email=request.GET["email"])
    login(request, user, "tokens.backends.ModelBackend")
    return redirect("/probe/note")


@login_required
def picture(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PIXEL, content_type="image/gif", headers={"Cache-Control": "private, no-store"})


urlpatterns = [path("probe/magic", magic), path("probe/picture", picture), *with_probes]
