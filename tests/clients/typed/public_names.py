"""A small project that uses the public names. With the installed wheel it is checked in the strict mode of mypy."""

import logging
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.test import Client
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from tokens import sessions
from tokens.api.public import ApiView, Operation, ProofInput, endpoint, proof_of, valid
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken
from tokens.testing import SignedIn, age, sign_in, storage_state
from tokens.web.reports import Reporter
from tokens.web.requests import WSGIRequest


class PhoneInput(ProofInput):
    pass


class Phone(ApiView):
    @Operation("Changes the telephone number.", takes=PhoneInput, status=204)
    def post(self, request: Request) -> Response:
        given = valid(PhoneInput, request)
        with sessions.change_account(request._request, **proof_of(request, given)) as user:
            user.save()
        return Response(status=204)


urlpatterns = [endpoint("phone", Phone, "phone")]


@receiver(sessions.happened)
def tell(*, kind: sessions.Kind, user_id: Any, **kwargs: Any) -> None:
    logging.info("%s of %s", kind.value, user_id)


def sign_out_elsewhere(request: HttpRequest) -> HttpResponse:
    if not sessions.is_recent(request):
        return HttpResponse(status=403)
    sessions.sign_out_elsewhere(request)
    return HttpResponse(len(names(request.user)))


def names(user: AbstractBaseUser | Any) -> list[str]:
    return [session.device.name for session in sessions.live_sessions(user)]


def ended(user: User, reason: sessions.Reason) -> int:
    revoked: int = RefreshToken.objects.filter(user=user, revoked_reason=reason).count()
    return revoked


def subject(token: AccessToken) -> str:
    return token.subject


class OwnReporter(Reporter):
    pass


class OwnRequest(WSGIRequest):
    pass


def signed_in(client: Client, user: User) -> list[str]:
    found: SignedIn = sign_in(client, user, methods=["pwd", "otp"])
    age(client, seconds=3600)
    return [found.session.device.name, *storage_state(user)]
