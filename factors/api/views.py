"""The views of the API of factors, which docs/reference/api.md lists. Errors are `tokens.web.http.problems`."""

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from factors.api.proofs import CHANGES, PRIVATE, given_with_delete, proof_for_change
from factors.api.serializers import (
    ChangeInput,
    ConfirmTotpInput,
    EnrolmentOutput,
    FactorsOutput,
    RecoveryCodesOutput,
)
from factors.service import recovery_codes, totp
from tokens import sessions
from tokens.api.public import (
    SIGNED_IN,
    ApiView,
    Operation,
    ProblemError,
    ProofInput,
    problems,
    text_of,
    valid,
)


class Factors(ApiView):
    @Operation("Show by which factors the user can prove who they are.", *SIGNED_IN, answers=FactorsOutput)
    def get(self, request: Request) -> Response:
        app = totp.of_user(request.user)
        return Response(
            {
                "offered": sessions.factors.offered(request._request, request.user),
                "totp": None if app is None or app.confirmed_at is None else {"created_at": text_of(app.confirmed_at)},
                "recovery_codes_left": recovery_codes.left(request.user),
            },
            headers=PRIVATE,
        )


class TotpView(ApiView):
    @Operation(
        "Begin to set up an authenticator app. It counts when it is confirmed, within an hour.",
        *CHANGES,
        answers=EnrolmentOutput,
        takes=ProofInput,
    )
    def post(self, request: Request) -> Response:
        found = totp.begin(request._request, **proof_for_change(request, valid(ProofInput, request)))
        return Response({"secret": found.secret, "otpauth_uri": found.uri}, headers=PRIVATE)

    @Operation(
        "Remove the authenticator app, and the recovery codes with it.",
        *CHANGES,
        problems.NOT_FOUND,
        problems.LAST_FACTOR,
        status=204,
        takes=ChangeInput,
    )
    def delete(self, request: Request) -> Response:
        given = given_with_delete(request)
        proof = proof_for_change(request, given)
        try:
            totp.remove(request._request, end_others=given.get("end_other_sessions", False), **proof)
        except totp.NotSetUp:
            raise NotFound from None
        except totp.LastFactor:
            raise ProblemError(problems.LAST_FACTOR) from None
        return Response(status=204)


class ConfirmTotp(ApiView):
    @Operation(
        "Confirm the authenticator app by a code of it. The answer has recovery codes if the user had none left.",
        *CHANGES,
        problems.WRONG_CODE,
        problems.NOT_FOUND,
        answers=RecoveryCodesOutput,
        takes=ConfirmTotpInput,
    )
    def post(self, request: Request) -> Response:
        given = valid(ConfirmTotpInput, request)
        proof, end_others = proof_for_change(request, given), given.get("end_other_sessions", False)
        try:
            made = totp.confirm(request._request, given["code"], end_others=end_others, **proof)
        except totp.NothingPending:
            raise NotFound from None
        except totp.WrongCode:
            raise ProblemError(problems.WRONG_CODE) from None
        return Response({"recovery_codes": made}, headers=PRIVATE)


class RecoveryCodes(ApiView):
    @Operation(
        "Make a new set of recovery codes, which ends the old one.",
        *CHANGES,
        answers=RecoveryCodesOutput,
        takes=ChangeInput,
    )
    def post(self, request: Request) -> Response:
        given = valid(ChangeInput, request)
        proof, end_others = proof_for_change(request, given), given.get("end_other_sessions", False)
        made = recovery_codes.replace(request._request, end_others=end_others, **proof)
        return Response({"recovery_codes": made}, headers=PRIVATE)
