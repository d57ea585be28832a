"""The views of the API of accounts, which docs/reference/api.md lists. Errors are `tokens.web.http.problems`.

Views for anonymous users answer 202 with the same text, whether an account exists or not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import users
from accounts.api.serializers import (
    ConfirmEmailInput,
    EmailChangeInput,
    EmailInput,
    FirstPasswordInput,
    PasswordChangeInput,
    PasswordResetInput,
    RegistrationInput,
)
from accounts.links import WHAT_LINKS_DID, InvalidLink, UsedLink
from accounts.service import deletion, emails, passwords, registration
from tokens import sessions
from tokens.api.public import (
    PROVEN,
    SIGNED_IN,
    ApiView,
    AskedOutput,
    Me,
    Operation,
    ProblemError,
    ProofInput,
    Public,
    problems,
    proof_of,
    proof_of_delete,
    reauthentication_required,
    valid,
)

OWNER = (*SIGNED_IN, problems.REAUTHENTICATION_REQUIRED)
PROVEN_OWNER = (*PROVEN, problems.REAUTHENTICATION_REQUIRED)
ASKED = {"detail": _("If there is something to do, we have sent a mail to this address.")}


class NeedsAddress(Public):
    """Answers 404 if the project's users have no e-mail address."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        _require(users.has_addresses())
        super().initial(request, *args, **kwargs)


class Register(NeedsAddress):
    """Answers 404 if new users need more than an address, a user name and a password."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        _require(users.can_register())
        super().initial(request, *args, **kwargs)

    @Operation(
        "Register. A mail to the address contains the next step.",
        problems.THROTTLED,
        answers=AskedOutput,
        status=202,
        takes=RegistrationInput,
    )
    def post(self, request: Request) -> Response:
        given = valid(RegistrationInput, request)
        with _problems_of("password"):
            registration.register(request._request, given["email"], given["password"], given.get("name") or "")
        return Response(ASKED, status=202)


class ConfirmEmail(NeedsAddress):
    @Operation(
        "Confirm an e-mail address. For a registration this makes the account, with the password that is sent.",
        problems.INVALID_TOKEN,
        problems.LINK_USED,
        status=204,
        takes=ConfirmEmailInput,
    )
    def post(self, request: Request) -> Response:
        given = valid(ConfirmEmailInput, request)
        with _problems_of("password"):
            emails.confirm(request._request, given["token"], given.get("password"), name=given.get("name") or "")
        return Response(status=204)


class ChangeEmail(ApiView):
    @Operation(
        "Ask to change the e-mail address. A mail to the new one contains a link that confirms it.",
        *PROVEN_OWNER,
        problems.THROTTLED,
        answers=AskedOutput,
        status=202,
        takes=EmailChangeInput,
    )
    def post(self, request: Request) -> Response:
        _require(users.has_addresses())
        given = valid(EmailChangeInput, request)
        proof = proof_of(request, given)
        user = _owner(request, is_recent="authenticated" in proof, by_strongest=True)
        with _problems_of("email"):
            emails.ask_for_change(request._request, user, given["email"], **proof)
        return Response(ASKED, status=202)


class ChangePassword(ApiView):
    """The client's tokens stay valid.

    A user without a password sets the first one, with a proof as for a change of the address.
    """

    @Operation(
        "Change the password, which ends all other sessions.",
        *OWNER,
        problems.INVALID_CREDENTIALS,
        problems.TOO_MANY_PASSWORDS,
        status=204,
        takes=PasswordChangeInput,
    )
    def post(self, request: Request) -> Response:
        user = _owner(request)
        if not user.has_usable_password():
            return self._set_first(request, user)
        given = valid(PasswordChangeInput, request)
        self.exchange.refresh_token = given.get("refresh_token")
        with _problems_of("new_password"):
            passwords.change(request._request, user, given["current_password"], given["new_password"])
        return Response(status=204)

    def _set_first(self, request: Request, user: Any) -> Response:
        given = valid(FirstPasswordInput, request)
        with _problems_of("new_password"):
            passwords.set_first(request._request, user, given["new_password"], **proof_of(request, given))
        return Response(status=204)


class ResetPassword(NeedsAddress):
    @Operation(
        "Ask for a mail with a link to reset the password.",
        problems.THROTTLED,
        answers=AskedOutput,
        status=202,
        takes=EmailInput,
    )
    def post(self, request: Request) -> Response:
        passwords.ask_for_reset(request._request, valid(EmailInput, request)["email"])
        return Response(ASKED, status=202)


class ConfirmPasswordReset(NeedsAddress):
    @Operation(
        "Reset the password, which ends all sessions.",
        problems.INVALID_TOKEN,
        problems.LINK_USED,
        status=204,
        takes=PasswordResetInput,
    )
    def post(self, request: Request) -> Response:
        given = valid(PasswordResetInput, request)
        with _problems_of("password"):
            passwords.reset(request._request, given["token"], given["password"])
        return Response(status=204)


class Account(Me):
    """Shows the signed-in user like `Me`, and deletes the account."""

    @Operation("Delete the account, which ends all sessions.", *PROVEN_OWNER, status=204, takes=ProofInput)
    def delete(self, request: Request) -> Response:
        proof = proof_of_delete(request)
        _owner(request, is_recent="authenticated" in proof, by_strongest=True)
        deletion.delete(request._request, **proof)
        return Response(status=204)


def _owner(request: Request, *, is_recent: bool = False, by_strongest: bool = False) -> Any:
    """Return the signed-in user. Raise `ProblemError` unless the sign-in is recent, or the password was just given.

    ``by_strongest``: the error offers only what is enough for a change that needs the strongest factor.
    """
    if not is_recent and not sessions.is_recent(request._request):
        if by_strongest and (found := sessions.factors.missing(request._request, request.user)):
            raise sessions.factors.StrongerRequired(found)
        raise reauthentication_required(request)
    user = users.find_active(request.user.pk)
    if user is None:
        raise ProblemError(problems.SESSION_ENDED)
    return user


@contextmanager
def _problems_of(field: str) -> Iterator[None]:
    """Turn the exceptions of the service into problems. ``field`` is the field to which a `ValidationError` belongs."""
    try:
        yield
    except ValidationError as error:
        of_fields = error.message_dict if hasattr(error, "error_dict") else {field: error.messages}
        raise serializers.ValidationError(of_fields) from None
    except InvalidLink:
        raise ProblemError(problems.INVALID_TOKEN) from None
    except UsedLink as error:
        raise ProblemError(replace(problems.LINK_USED, detail=str(WHAT_LINKS_DID[error.purpose]))) from None
    except passwords.WrongPassword:
        raise ProblemError(problems.INVALID_CREDENTIALS) from None


def _require(is_offered: bool) -> None:
    """Raise `NotFound` unless this project offers what the request asks for."""
    if not is_offered:
        raise NotFound
