from django.urls import include, path

from tests.docs.blocks import block
from tests.docs.code import run
from tests.tokens.contrib.coming_over.urls import handler400, handler403, handler404, handler500
from tests.tokens.contrib.coming_over.urls import urlpatterns as of_simplejwt

__all__ = ["handler400", "handler403", "handler404", "handler500"]

BLOCK = block("docs/how-to/moving/dj-rest-auth.md", "# urls.py, coming from dj-rest-auth")
urlpatterns = [
    # As they were before the release.
    path("old/", include("dj_rest_auth.urls")),
    *of_simplejwt,
]
urlpatterns = run(BLOCK, path=path, include=include, urlpatterns=urlpatterns)["urlpatterns"]
