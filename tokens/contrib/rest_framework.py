"""The adapter for REST framework: its ways to sign in by a password without a session ask as every sign-in does.

`rest_framework.authentication.BasicAuthentication` takes a password with each request, `RemoteUserAuthentication` a
name that a proxy has authenticated, and the view ``obtain_auth_token`` gives a token for a password. None opens a
session, so none would ask SIGN_IN_POLICY and REQUIRED_FACTORS. A user who is refused there, or is to prove more, is not
authenticated: 401 or 403, or 400 by that view. Nobody can give a code in such a request.

Subclasses are covered, whichever of their two methods they replace. What calls `django.contrib.auth.authenticate` by
itself, and opens no session, is not.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.apps import apps
from rest_framework import authentication, exceptions

from tokens.web.operations import admission

_GUARDED = "_tokens_guarded"
_ASKED = "_tokens_asked_about"


def guard() -> None:
    """Let these classes ask before they authenticate somebody."""
    basic = authentication.BasicAuthentication
    for name in ("authenticate_credentials", "authenticate"):
        _replace(basic, name, _of_request)
    _replace(authentication.RemoteUserAuthentication, "authenticate", _of_request)
    if apps.is_installed("rest_framework.authtoken"):
        from rest_framework.authtoken.serializers import AuthTokenSerializer  # It imports its app's models.

        _replace(AuthTokenSerializer, "validate", _of_token)


def _replace(kind: type, name: str, guarded: Callable[[Any], Any]) -> None:
    method = getattr(kind, name)
    if not hasattr(method, _GUARDED):
        found = guarded(method)
        setattr(found, _GUARDED, True)
        setattr(kind, name, found)


def _of_request(method: Any) -> Any:
    @wraps(method)
    def guarded(self: Any, *args: Any, **named: Any) -> Any:
        found = method(self, *args, **named)
        # The one method calls the other, and a user is asked about once.
        if found is not None and getattr(self, _ASKED, None) is not found[0]:
            if not admission.allows(_request_in(args, named), found[0]):
                raise exceptions.AuthenticationFailed
            setattr(self, _ASKED, found[0])
        return found

    return guarded


def _of_token(method: Any) -> Any:
    @wraps(method)
    def guarded(self: Any, attrs: Any) -> Any:
        found = method(self, attrs)
        if not admission.allows(self.context.get("request"), found["user"]):
            raise exceptions.ValidationError(code="authorization")
        return found

    return guarded


def _request_in(args: Any, named: Any) -> Any:
    """Return the request, which is the only argument of the one method, and the third one of the other, or None.

    A subclass may leave it out. The last argument is then the password, which no policy may be given.
    """
    found = named.get("request") or (args[-1] if args else None)
    return None if isinstance(found, (str, bytes)) else found


guard()
