"""The project's URLs, and views of a project that change accounts by `tokens.sessions`."""

import json

from django.contrib import messages
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.urls import urlpatterns as project
from tokens import sessions


@csrf_exempt
def change(request: HttpRequest) -> HttpResponse:
    """Take the proof from a JSON body, as docs/how-to/change-accounts.md says, and change the account."""
    given = json.loads(request.body or "{}")
    proof = {"refresh_token": given.get("refresh_token")}
    if password := given.get("current_password"):
        proof = {"authenticated": authenticate(request, username=request.user.get_username(), password=password)}
    if given.get("careless"):
        proof = {"authenticated": request.user}
    with sessions.change_account(request, **proof) as user:
        user.email = "changed@example.org"
        user.save(update_fields=["email"])
    return HttpResponse("changed")


def write(request: HttpRequest) -> HttpResponse:
    """Store something in Django's session."""
    request.session["basket"] = 1
    messages.success(request, "stored")
    return HttpResponse("stored")


urlpatterns = [path("probe/change", change), path("probe/write", write), *project]
