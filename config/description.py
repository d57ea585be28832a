"""The API's description, and the page to try it: made by drf-spectacular, which is imported when somebody asks.

It takes tens of milliseconds to import, as much as Django REST framework, and most processes are never asked.
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def schema(request: HttpRequest) -> HttpResponseBase:
    from drf_spectacular.views import SpectacularAPIView

    return SpectacularAPIView.as_view()(request)


@csrf_exempt
def docs(request: HttpRequest) -> HttpResponseBase:
    from drf_spectacular.views import SpectacularSwaggerSplitView

    return SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="config/api_docs.html")(request)
