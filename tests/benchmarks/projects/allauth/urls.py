from django.urls import include, path

from tests.benchmarks.projects import api_views, views

urlpatterns = [
    path("view", api_views.view),
    *views.urlpatterns,
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
]
