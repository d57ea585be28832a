from typing import Any

from django.urls import include, path

from tokens.api.public import jwks

urlpatterns = [path("api/", include("tokens.api.urls")), path(".well-known/jwks.json", jwks)]


def tenant(request: Any) -> str:
    name: str = request.tenant.schema_name
    return name
