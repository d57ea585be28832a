from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path


def view(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"answer": 42})


urlpatterns = [path("admin/", admin.site.urls), path("view", view)]
