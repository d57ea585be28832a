from django.urls import include, path

from tests.tokens.contrib.coming_over.urls import handler400, handler403, handler404, handler500
from tests.tokens.contrib.coming_over.urls import urlpatterns as of_simplejwt

__all__ = ["handler400", "handler403", "handler404", "handler500"]

urlpatterns = [
    path("api/", include("tokens.contrib.coming_over.dj_rest_auth_urls")),
    # As they were before the release.
    path("old/", include("dj_rest_auth.urls")),
    *of_simplejwt,
]
