from django.urls import include, path

from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as of_tests

__all__ = ["handler400", "handler403", "handler404", "handler500"]

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    *of_tests,
]
