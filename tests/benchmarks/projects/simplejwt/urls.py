from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from tests.benchmarks.projects import api_views, views

urlpatterns = [
    path("view", api_views.view),
    *views.urlpatterns,
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
]
