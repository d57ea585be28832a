from django.urls import include, path
from knox.views import LoginView, LogoutAllView, LogoutView
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from tests.docs.blocks import block
from tests.docs.code import run
from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as of_tests
from tokens.api.authentication import TokenAuthentication
from tokens.contrib.coming_over.knox import TokenAuthentication as KnoxTokens

__all__ = ["handler400", "handler403", "handler404", "handler500"]


@api_view(["GET"])
@authentication_classes([TokenAuthentication, KnoxTokens])
@permission_classes([IsAuthenticated])
def either(request):
    return Response({"pk": str(request.user.pk)})


BLOCK = block("docs/how-to/moving/knox.md", "# urls.py, coming from knox")
urlpatterns = [
    path("knox/login/", LoginView.as_view(authentication_classes=[BasicAuthentication])),
    path("knox/logout/", LogoutView.as_view()),
    path("knox/logoutall/", LogoutAllView.as_view()),
    path("probe/either", either),
    *of_tests,
]
urlpatterns = run(BLOCK, path=path, include=include, urlpatterns=urlpatterns)["urlpatterns"]
