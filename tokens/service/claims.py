"""The project's own claims in access tokens, from the function that CLAIMS_HOOK names.

The function is the project's, so it can fail. Code that writes a row for which an access token will be issued calls it
before, or in the transaction that writes the row. While it fails, nothing is written, and the client can repeat
the request with the same refresh token.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from traceback import extract_tb
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder

from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.protocol import access_tokens
from tokens.service import events


class ClaimsHookFailed(Exception):
    """The claims hook has raised an exception, or an access token cannot contain what it returned. The log says why."""


@dataclass(frozen=True, slots=True)
class ClaimsSession:
    """The session for which an access token is issued, as the claims hook gets it.

    - ``id``: the claim ``sid``.
    - ``methods``: the claim ``amr``. Empty: it is not known how the user authenticated.
    - ``acr``: the claim ``acr``, or None.
    - ``authenticated_at``: when the user last authenticated, or None if that is not known.
    - ``actor``: the primary key of the person who impersonates the user, or None.
    - ``device``: the id of the device, which is the same at the next sign-in in this browser.
    - ``device_name``: what the user calls the device.
    """

    id: UUID
    methods: tuple[str, ...]
    acr: str | None
    authenticated_at: datetime | None
    actor: Any
    device: UUID
    device_name: str


class _Unfit(Exception):
    """An access token cannot contain this claim. The message is for the log."""

    def __init__(self, claim: str, why: str) -> None:
        super().__init__(why)
        self.claim = claim


def claims_of(user: Any, session: RefreshToken) -> Mapping[str, Any]:
    """Return the project's own claims about a user and a session, as JSON has them: as if read from the token.

    Values that JSON lacks are written as `DjangoJSONEncoder` writes them. Raise `ClaimsHookFailed`. The log names the
    hook, and the claim or the line that is wrong, but no value.
    """
    found = token_settings()
    if not found.claims_hook:
        return {}
    try:
        return _encoded(found.claims(user, _described(session)) if found.claims else {})
    except _Unfit as unfit:
        events.log("claims hook failed", hook=found.claims_hook, claim=unfit.claim, error=unfit)
    except Exception as error:
        frame = extract_tb(error.__traceback__)[-1]
        where = f"{PurePath(frame.filename).name}:{frame.lineno}"
        events.log("claims hook failed", hook=found.claims_hook, error=type(error).__name__, at=where)
    raise ClaimsHookFailed


def _described(session: RefreshToken) -> ClaimsSession:
    is_own = session.actor_id is None
    methods = tuple(session.amr) if is_own else ()
    return ClaimsSession(
        id=session.id,
        methods=methods,
        acr=token_settings().acr_of(methods),
        authenticated_at=session.authenticated_at if is_own else None,
        actor=session.actor_id,
        device=session.device_id,
        device_name=session.device.name,
    )


def _encoded(given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _Unfit("", f"it returned a {type(given).__name__}")
    size, claims = 0, {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise _Unfit(repr(name)[:100], "the name is not text")
        if name in access_tokens.REGISTERED:
            raise _Unfit(name, "the name is reserved")
        text = _json(name, value)
        claims[name] = json.loads(text)
        size += len(name) + len(text)
    if size > access_tokens.MAX_EXTRA:
        raise _Unfit("", f"the claims have more than {access_tokens.MAX_EXTRA} bytes")
    return claims


def _json(name: str, value: Any) -> str:
    try:
        return json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise _Unfit(name, "the value is too deep") from None
    except ValueError as error:  # Its text names no value: a number that is not finite, a circle, a time with a zone.
        raise _Unfit(name, f"the value is not JSON: {str(error).partition(':')[0]}") from None
    except TypeError as error:  # Its text names the type.
        raise _Unfit(name, f"the value is not JSON: {error}") from None
