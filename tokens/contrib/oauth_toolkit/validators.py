"""The validator of django-oauth-toolkit that notes on which session something is granted, and asks whether it lives."""

from hashlib import sha256
from typing import Any
from uuid import UUID

from oauth2_provider import models, oauth2_validators
from oauthlib.oauth2 import InvalidGrantError

from tokens.contrib.oauth_toolkit import revocation
from tokens.contrib.oauth_toolkit.models import Granted
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.service import required_factors, users
from tokens.service.users import SessionEnded
from tokens.web.lazy_user import session_of
from tokens.web.operations import admission


class SessionBound:
    """To be inherited from before `oauth2_provider.oauth2_validators.OAuth2Validator`."""

    def validate_user(self, username: str, password: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Check the password of the password grant. It opens no session, and asks as every sign-in does."""
        is_right = super().validate_user(username, password, client, request, *args, **kwargs)  # type: ignore[misc]
        django_request = self.build_http_request(request)  # type: ignore[attr-defined]
        return bool(is_right) and admission.allows(django_request, request.user)

    def save_authorization_code(self, client_id: str, code: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        super().save_authorization_code(client_id, code, request, *args, **kwargs)  # type: ignore[misc]
        if (session_id := session_of(request.user)) is not None:
            revocation.end_expired(request.user.pk)
            grant = _grants(code["code"], request.client).get()
            revocation.link(request.user.pk, session_id, Granted.CODE, grant.pk)

    def save_bearer_token(self, token: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Save tokens that are granted on a session, if it lives and lacks no factor.

        Its user and the session are locked, so that the session ends before, or with these tokens.
        """
        save: Any = super().save_bearer_token  # type: ignore[misc]
        what, key = _presented(request)
        session_id = session_of(request.user) if key is None else revocation.session_of_grant(what, key)
        if session_id is None:
            return save(token, request, *args, **kwargs)
        try:
            with durable(writer(RefreshToken)):
                _, session = users.lock_signed_in(writer(RefreshToken), request.user.pk, session_id)
                if required_factors.lacks_factor(session, session.now):
                    raise InvalidGrantError(request=request)
                left = int((session.ends_at - session.now).total_seconds())
                token["expires_in"] = min(token.get("expires_in", left), left)
                saved = save(token, request, *args, **kwargs)
                _link(token, request.user.pk, session_id)
                if what != Granted.FAMILY:
                    revocation.unlink(what, key)  # A code, or a device's, is used once.
                return saved
        except SessionEnded:
            # In a transaction of its own, because the refusal must not undo it.
            revocation.end_on_sessions([session_id])
            raise InvalidGrantError(request=request) from None


class OAuth2Validator(SessionBound, oauth2_validators.OAuth2Validator):  # type: ignore[misc]
    """django-oauth-toolkit's own validator, bound to sessions."""


def _presented(request: Any) -> tuple[str, Any]:
    """Return what the request asks for tokens with, and its key. None: it has nothing that was granted before."""
    match getattr(request, "grant_type", None):
        case "authorization_code":
            return Granted.CODE, _grants(request.code, request.client).values_list("pk", flat=True).first()
        case "refresh_token":
            return Granted.FAMILY, getattr(getattr(request, "refresh_token_instance", None), "token_family", None)
        case "urn:ietf:params:oauth:grant-type:device_code":
            devices = models.get_device_grant_model()._default_manager
            code = getattr(request, "device_code", "")
            return Granted.DEVICE, devices.filter(device_code=code).values_list("pk", flat=True).first()
        case _:
            return Granted.ACCESS, None


def _link(token: Any, user_id: Any, session_id: UUID) -> None:
    checksum = sha256(token["access_token"].encode()).hexdigest()
    access = models.get_access_token_model()._default_manager.filter(token_checksum=checksum).first()
    if access is None:
        return
    refresh = models.get_refresh_token_model()._default_manager.filter(access_token=access).first()
    if refresh is None or refresh.token_family is None:
        revocation.link(user_id, session_id, Granted.ACCESS, access.pk)
    else:
        revocation.link(user_id, session_id, Granted.FAMILY, refresh.token_family)


def _grants(code: str, application: Any) -> Any:
    return models.get_grant_model()._default_manager.filter(code=code, application=application)
