from django.contrib.auth.views import LoginView
from django.urls import path

from tests.benchmarks.projects import views

urlpatterns = [path("view", views.view), *views.urlpatterns, path("sign-in", LoginView.as_view())]
