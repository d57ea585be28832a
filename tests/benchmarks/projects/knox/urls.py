from django.urls import path
from knox.views import LoginView
from rest_framework.authentication import BasicAuthentication

from tests.benchmarks.projects import api_views, views

urlpatterns = [
    path("view", api_views.view),
    *views.urlpatterns,
    path("api/auth/login/", LoginView.as_view(authentication_classes=[BasicAuthentication])),
]
