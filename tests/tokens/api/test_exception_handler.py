"""Our exception handler on a project's own views: their messages, statuses and headers are kept."""

from typing import Any

import pytest
from django.http import Http404
from rest_framework import exceptions
from rest_framework.authentication import BasicAuthentication
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from tokens.api.authentication import TokenAuthentication
from tokens.api.errors import answer_with_problem


class PaymentRequired(exceptions.APIException):
    status_code = 402
    default_detail = "Pay first."
    default_code = "payment_required"


class UnknownStatus(exceptions.APIException):
    status_code = 299


def answer_to(error: Exception, *authentication: Any, accept: str = "application/json") -> Response:
    class View(APIView):
        authentication_classes = authentication
        permission_classes = ()
        renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

        def get(self, request: Any) -> Response:
            raise error

        def get_exception_handler(self) -> Any:
            return answer_with_problem

    return View.as_view()(APIRequestFactory().get("/", headers={"Accept": accept})).render()


ERRORS = {
    "a denied permission": (exceptions.PermissionDenied(), 403, "permission_denied", "You may not do this."),
    "a reasoned denial": (exceptions.PermissionDenied("Owners only.", "not_owner"), 403, "not_owner", "Owners only."),
    "a missing row with a reason": (exceptions.NotFound("No such lamp."), 404, "not_found", "No such lamp."),
    "Django's own exception": (Http404("secret"), 404, "not_found", "There is nothing here."),
    "no such type": (exceptions.NotAcceptable(), 406, "not_acceptable", "Could not satisfy the request Accept header."),
    "one of the project": (PaymentRequired(), 402, "payment_required", "Pay first."),
    "one of the project with a reason": (PaymentRequired("Ten crowns.", "too_poor"), 402, "too_poor", "Ten crowns."),
    "one of the project with fields": (PaymentRequired({"crowns": ["Ten."]}), 402, "payment_required", "Pay first."),
}


@pytest.mark.parametrize(("error", "status", "code", "detail"), ERRORS.values(), ids=ERRORS)
def test_an_exception_becomes_a_problem_with_its_own_code_and_detail(error, status, code, detail):
    answer = answer_to(error)
    assert answer.status_code == status
    assert (answer.data["status"], answer.data["code"], answer.data["detail"]) == (status, code, detail)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_browsable_api_shows_it_on_a_page():
    answer = answer_to(PaymentRequired(), accept="text/html")
    assert (answer.status_code, answer.headers["Content-Type"]) == (402, "text/html; charset=utf-8")
    assert b"payment_required" in answer.content


def test_a_throttled_client_gets_retry_after():
    answer = answer_to(exceptions.Throttled(41.5))
    assert (answer.status_code, answer.data["code"], answer.headers["Retry-After"]) == (429, "throttled", "42")
    assert "Retry-After" not in answer_to(exceptions.Throttled()).headers


def test_the_first_authentication_class_sets_the_challenge():
    answer = answer_to(exceptions.NotAuthenticated(), BasicAuthentication, TokenAuthentication)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="api"')
    assert answer_to(exceptions.NotAuthenticated(), TokenAuthentication).headers["WWW-Authenticate"] == "Bearer"


def test_an_exception_with_a_status_that_http_does_not_have_is_raised():
    with pytest.raises(UnknownStatus):
        answer_to(UnknownStatus())
