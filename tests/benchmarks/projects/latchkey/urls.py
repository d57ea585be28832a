from django.urls import include, path

from tests.benchmarks.projects import views

urlpatterns = [path("view", views.view), *views.urlpatterns, path("", include("config.urls"))]
