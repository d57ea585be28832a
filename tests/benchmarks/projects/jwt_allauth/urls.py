from django.urls import include, path

from tests.benchmarks.projects import api_views, views

urlpatterns = [path("view", api_views.view), *views.urlpatterns, path("jwt-allauth/", include("jwt_allauth.urls"))]
