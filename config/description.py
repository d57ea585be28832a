"""The description of the API, and a page to try it, by drf-spectacular.

drf-spectacular is imported at the first request, because its import takes tens of milliseconds, and most processes do
not need it.
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def schema(request: HttpRequest) -> HttpResponseBase:
    """Answer with the description of the API (OpenAPI), in the language and format that the client asks for."""
    from config.schema import Schema

    return Schema.as_view()(request)


@csrf_exempt
def docs(request: HttpRequest) -> HttpResponseBase:
    """Answer with the page on which people try the API."""
    from drf_spectacular.views import SpectacularSwaggerSplitView

    return SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="config/api_docs.html")(request)
