"""``path("api/auth/knox/", include("tokens.contrib.coming_over.knox_urls"))``. knox's own URLs stay as they are."""

from typing import Any

from django.urls import path
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import AuthenticationFailed

from tokens.contrib.coming_over import knox, sources
from tokens.contrib.coming_over.answers import tokens_of
from tokens.contrib.coming_over.taking import TakeOverView
from tokens.service.issuing import IssuedTokens
from tokens.web.operations.taking_over import Wanted


class TakeOver(TakeOverView):
    """Gives an application that was made for us a session for the token of knox that it still has."""

    @sensitive_variables()
    def take(self, request: Any, text: str, wanted: Wanted) -> IssuedTokens:
        answer = sources.take_over(request._request, knox.verified(text), wanted)
        return tokens_of(answer, AuthenticationFailed("Invalid token."))


urlpatterns = [path("take-over/", TakeOver.as_view(), name="knox_take_over")]
