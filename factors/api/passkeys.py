"""The views of the API of passkeys: a sign-in by one, and the passkeys of the signed-in user."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from factors import authenticators, ceremonies
from factors.api.proofs import CHANGES, PRIVATE, given_with_delete, proof_for_change
from factors.api.serializers import (
    ChangedOutput,
    ChangeInput,
    CreationOutput,
    PasskeyInput,
    PasskeyNameInput,
    PasskeySignInInput,
    PasskeySignInOutput,
    PasskeysOutput,
    RemovedOutput,
)
from factors.models import Passkey as Row
from factors.service import passkeys, totp
from factors.service.change_permission import change
from tokens import sessions
from tokens.api.public import (
    PROVEN,
    SIGNED_IN,
    ApiView,
    Operation,
    ProblemError,
    Public,
    granted,
    problems,
    proof_of,
    text_of,
    valid,
)


class SignIn(Public):
    @Operation(
        "Sign in by a passkey. Without an answer, get what the passkey has to sign (`options`).",
        problems.FACTOR_REFUSED,
        problems.PASSKEY_UNKNOWN,
        problems.FACTOR_REQUIRED,
        problems.SIGN_IN_REFUSED,
        problems.NOT_FOUND,
        problems.THROTTLED,
        answers=PasskeySignInOutput,
        takes=PasskeySignInInput,
    )
    def post(self, request: Request) -> HttpResponse | Response:
        _require_passkeys()
        given = valid(PasskeySignInInput, request)
        has_cookies = given["mode"] != "body"
        # The text of a client without cookies does not count for a browser: another site could have chosen it.
        browser = sessions.relying_party(request._request).browser if has_cookies else given.get("ceremony", "")
        if "answer" not in given:
            return self._begun(request, browser, has_cookies=has_cookies)
        self.exchange.device_token = given.get("device_token")
        try:
            issued = passkeys.sign_in(
                request._request,
                given["answer"],
                browser,
                mode=given["mode"],
                remember=given.get("remember", False),
                device_name=given.get("device_name", ""),
            )
        except passkeys.UnknownPasskey:
            raise ProblemError(problems.PASSKEY_UNKNOWN) from None
        except sessions.pending.WrongAnswer:
            raise ProblemError(problems.FACTOR_REFUSED) from None
        return granted(issued)

    def _begun(self, request: Request, browser: str, *, has_cookies: bool) -> Response:
        """Return the options, bound to the cookie of this browser, or to a text that the client sends back."""
        browser = (browser if has_cookies else "") or passkeys.new_browser()
        found: dict[str, Any] = {"options": passkeys.sign_in_options(request._request, browser)}
        response = Response(found if has_cookies else {**found, "ceremony": browser}, headers=PRIVATE)
        if has_cookies:
            sessions.relying_party(request._request).keep(response, browser)
        return response


class Passkeys(ApiView):
    @Operation("The passkeys of the user, the oldest first.", *SIGNED_IN, answers=PasskeysOutput)
    def get(self, request: Request) -> Response:
        found = [_data(row) for row in passkeys.of_user(request.user)]
        return Response({"passkeys": found, **_accepted(request)}, headers=PRIVATE)

    @Operation(
        "Create a passkey. Without a credential, get what the browser needs to create one (`options`).",
        *CHANGES,
        problems.PASSKEY_REFUSED,
        problems.NOT_FOUND,
        answers=CreationOutput,
        takes=PasskeyInput,
    )
    def post(self, request: Request) -> Response:
        _require_passkeys()
        given = valid(PasskeyInput, request)
        proof = proof_for_change(request, given)
        if "credential" not in given:
            with change(request._request, **proof) as user:
                options = passkeys.creation_options(request._request, user, is_quiet=given.get("quiet", False))
            return Response({"options": options}, headers=PRIVATE)
        end_others = given.get("end_other_sessions", False)
        try:
            row = passkeys.add(
                request._request, given["credential"], given.get("name", ""), end_others=end_others, **proof
            )
        except passkeys.CreationRefused:
            raise ProblemError(problems.PASSKEY_REFUSED) from None
        except passkeys.TooMany:
            raise ProblemError(problems.TOO_MANY_PASSKEYS) from None
        return Response({"passkey": _data(row), **_accepted(request)}, headers=PRIVATE)


class Passkey(ApiView):
    @Operation(
        "Rename a passkey.",
        *PROVEN,
        problems.NOT_FOUND,
        answers=ChangedOutput,
        takes=PasskeyNameInput,
    )
    def patch(self, request: Request, passkey_id: str) -> Response:
        found, given = _id(passkey_id), valid(PasskeyNameInput, request)
        try:
            row = passkeys.rename(request._request, found, given["name"], **proof_of(request, given))
        except passkeys.NoSuchPasskey:
            raise NotFound from None
        return Response({"passkey": _data(row), **_accepted(request)}, headers=PRIVATE)

    @Operation(
        "Remove a passkey. The recovery codes end with the last one, unless there is an authenticator app.",
        *CHANGES,
        problems.NOT_FOUND,
        problems.LAST_FACTOR,
        answers=RemovedOutput,
        takes=ChangeInput,
    )
    def delete(self, request: Request, passkey_id: str) -> Response:
        found, given = _id(passkey_id), given_with_delete(request)
        proof = proof_for_change(request, given)
        try:
            passkeys.remove(request._request, found, end_others=given.get("end_other_sessions", False), **proof)
        except passkeys.NoSuchPasskey:
            raise NotFound from None
        except totp.LastFactor:
            raise ProblemError(problems.LAST_FACTOR) from None
        return Response(_accepted(request), headers=PRIVATE)


def _require_passkeys() -> None:
    if not passkeys.are_on():
        raise NotFound


def _data(row: Row) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "credential_id": ceremonies.encoded(bytes(row.credential_id)),
        "name": row.name,
        "authenticator": authenticators.name_of(row.aaguid),
        "can_sync": row.can_sync,
        "is_synced": row.is_synced,
        "is_discoverable": row.is_discoverable,
        "created_at": text_of(row.created_at),
        "last_used_at": None if row.last_used_at is None else text_of(row.last_used_at),
    }


def _accepted(request: Request) -> dict[str, Any]:
    return {"accepted": passkeys.accepted(request._request, request.user)}


def _id(text: str) -> UUID:
    with suppress(ValueError):
        if str(found := UUID(text)) == text:
            return found
    raise NotFound
