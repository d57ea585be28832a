from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tokens.api.public import jwks


def tenant(request: Any) -> str:
    name: str = request.tenant.schema_name
    return name


def who(request: HttpRequest) -> HttpResponse:
    """Answer 200 to a user who is signed in. It asks only ``request.user``, as a view of the project does."""
    return HttpResponse(status=200 if request.user.is_authenticated else 401)


urlpatterns = [path("api/", include("tokens.api.urls")), path(".well-known/jwks.json", jwks), path("who", who)]
