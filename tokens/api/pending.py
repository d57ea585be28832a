"""The view that takes the answer to a factor in a pending sign-in (`tokens.web.operations.pending`)."""

from django.http import HttpResponse, JsonResponse
from rest_framework.request import Request

from tokens.api.base import Public
from tokens.api.errors import ProblemError
from tokens.api.schema import FACTOR_EXAMPLE, FactorOutput, Operation
from tokens.api.serializers import FactorInput, valid
from tokens.api.views import NO_STORE, granted
from tokens.web.http import pending_cookie, problems
from tokens.web.operations import pending


class Factor(Public):
    @Operation(
        "Answer a factor that a sign-in needs. Without an answer, get what the factor needs (`options`).",
        problems.FACTOR_REFUSED,
        problems.FACTOR_REQUIRED,
        problems.SIGN_IN_REFUSED,
        problems.TOO_MANY_PASSWORDS,
        answers=FactorOutput,
        takes=FactorInput,
        example_input=FACTOR_EXAMPLE,
    )
    def post(self, request: Request) -> HttpResponse:
        given = valid(FactorInput, request)
        self.exchange.device_token = given.get("device_token")
        text = given.get("pending") or pending_cookie.text_of(request._request)
        try:
            if "answer" not in given:
                options = pending.options(request._request, text, given["method"])
                return JsonResponse({"options": options}, headers=NO_STORE)
            answer, trusts = given["answer"], given.get("trust_device", False)
            return granted(pending.answer(request._request, text, given["method"], answer, trusts=trusts))
        except pending.WrongAnswer:
            raise ProblemError(problems.FACTOR_REFUSED) from None
