"""Errors of ours in the form in which the views of an old package answer.

This module does not import ``rest_framework.views``, which imports the classes of DEFAULT_AUTHENTICATION_CLASSES while
it is imported itself. One of them is `tokens.contrib.coming_over.knox.TokenAuthentication`, which needs this module.
"""

from rest_framework import exceptions

from tokens.service.throttles import Throttled
from tokens.service.users import UserChanged
from tokens.web.http.problems import DATABASE_DOWN, UNAVAILABLE
from tokens.web.sign_in_policy import FactorRequired, SignInRefused


class Unavailable(exceptions.APIException):
    status_code = 503
    default_detail = UNAVAILABLE.text
    default_code = "unavailable"


def in_their_form(error: Exception) -> Exception:
    """Return the exception of REST framework that says what this exception of ours says."""
    if isinstance(error, Throttled):
        return exceptions.Throttled(wait=error.wait)
    if isinstance(error, FactorRequired):
        return exceptions.AuthenticationFailed({"detail": str(error.reason), "code": "factor_required"})
    if isinstance(error, SignInRefused):
        return exceptions.AuthenticationFailed({"detail": str(error.reason), "code": "sign_in_refused"})
    if isinstance(error, UserChanged):
        return exceptions.AuthenticationFailed()
    if isinstance(error, DATABASE_DOWN):
        return Unavailable()
    return error
