"""The view of the API's description. Each process makes a description once, and keeps it.

Making one takes up to 0.2 s of CPU, and anybody may ask for it. There is one for each language of LANGUAGES and each
format, so what is kept is limited. It does not depend on the request in any other way.
"""

from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import get_conditional_response
from django.utils.encoding import force_bytes
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_one_at_a_time = Lock()
"""Otherwise the first requests of a process would all make the same description."""


class Description(NamedTuple):
    body: bytes
    etag: str


class Schema(SpectacularAPIView):
    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        renderer = type(request.accepted_renderer)
        with _one_at_a_time:
            body, etag = _described(settings.ROOT_URLCONF, _language(request), renderer)  # type: ignore[arg-type]
        name = f"{spectacular_settings.TITLE}.{renderer.format}"
        headers = {"ETag": etag, "Content-Disposition": f'inline; filename="{name}"'}
        kind = renderer.media_type if renderer.charset is None else f"{renderer.media_type}; charset={renderer.charset}"
        response = HttpResponse(body, content_type=kind, headers=headers)
        return get_conditional_response(request._request, etag=etag, response=response) or response


def _language(request: Request) -> str:
    """Return the language of the parameter ``lang``, or else that of the request. It is one of LANGUAGES."""
    for wanted in (request.GET.get("lang"), translation.get_language()):
        try:
            return translation.get_supported_language_variant(wanted or "")
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


@cache
def _described(urlconf: str, language: str, renderer: type[BaseRenderer]) -> Description:
    with translation.override(language):
        generator: Any = Schema.generator_class(urlconf=urlconf)
        described = generator.get_schema(request=None, public=True)
        body = force_bytes(renderer().render(described, renderer.media_type, {}))
    return Description(body, f'"{sha256(body).hexdigest()}"')
