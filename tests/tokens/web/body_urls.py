"""A view that reads a body from the server as it arrives, whatever its length, as one that stores large files does."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def upload(request: HttpRequest) -> JsonResponse:
    read = 0
    while piece := request.META["wsgi.input"].read(1000):
        read += len(piece)
    return JsonResponse({"read": read})


urlpatterns = [path("upload", upload)]
