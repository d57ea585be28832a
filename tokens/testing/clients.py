"""Signs in a client of tests: Django's Client and AsyncClient, and REST framework's APIClient."""

from typing import Any

from asgiref.sync import sync_to_async
from django.test import AsyncClient, RequestFactory

from tokens.conf import BODY
from tokens.testing.guard import only_in_tests
from tokens.testing.opening import PASSWORD, SignedIn, open_session
from tokens.web.http.cookie_names import OF_MODE
from tokens.web.methods import Given

HEADER, ASYNC_HEADER = "HTTP_AUTHORIZATION", "authorization"
"""The key of the header among what a client sends with each request."""


@only_in_tests
def sign_in(
    client: Any,
    user: Any,
    *,
    mode: str = "",
    methods: Given = PASSWORD,
    remember: bool = False,
    device_name: str = "",
) -> SignedIn:
    """Sign a client in, and return what it has got. `tokens.testing.opening.open_session` describes the arguments.

    The client gets the cookies. In mode ``body`` it sends the access token in the header ``Authorization`` from now on.
    """
    _require_client(client)
    signed_in = open_session(
        user,
        mode=mode,
        methods=methods,
        remember=remember,
        device_name=device_name,
        meta=_meta(client),
        cookies=client.cookies,
    )
    client.cookies.update(signed_in.cookies)
    send_bearer(client, signed_in.access_token if signed_in.session.mode == BODY else None)
    return signed_in


asign_in = sync_to_async(sign_in)
"""`sign_in` for async tests."""


def access_token_of(client: Any) -> str:
    """Return the access token that a client sends. Raise `ValueError` if it has none."""
    _require_client(client)
    if (bearer := _defaults(client).get(_header(client))) and bearer.lower().startswith("bearer "):
        return str(bearer.partition(" ")[2])
    if (name := _access_cookie(client)) is not None:
        return str(client.cookies[name].value)
    raise ValueError("This client has no access token. Sign it in first. After force_login, send a request first.")


def replace_access_token(client: Any, text: str) -> None:
    """Let a client send another access token, in the place of the one that it has."""
    if (name := _access_cookie(client)) is not None and _header(client) not in _defaults(client):
        client.cookies[name].set(name, text, text)  # Its attributes stay.
    else:
        send_bearer(client, text)


def send_bearer(client: Any, text: str | None) -> None:
    """Let a client send this Bearer token with each request. None: it sends none."""
    defaults = _defaults(client)
    if text is None:
        defaults.pop(_header(client), None)
    else:
        defaults[_header(client)] = f"Bearer {text}"


def _require_client(client: Any) -> None:
    if not isinstance(client, RequestFactory):
        what = "is no client of Django or REST framework. Give any other client what open_session returns."
        raise TypeError(f"{type(client).__name__} {what}")


def _access_cookie(client: Any) -> str | None:
    names = dict.fromkeys(access.name for access, _ in OF_MODE.values())
    return next((name for name in names if name in client.cookies and client.cookies[name].value), None)


def _header(client: Any) -> str:
    return ASYNC_HEADER if isinstance(client, AsyncClient) else HEADER


def _defaults(client: Any) -> dict[str, Any]:
    """Return what a client sends with each request. REST framework's has a place for credentials, which it forgets."""
    found: dict[str, Any] = client._credentials if hasattr(client, "_credentials") else client.defaults
    return found


def _meta(client: Any) -> dict[str, Any]:
    """Return what a client sends with each request as keys of ``META``, without what names a user or an origin."""
    found: dict[str, Any] = dict(client.defaults)
    if isinstance(client, AsyncClient):
        found = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in found.items()}
    return {name: value for name, value in found.items() if name not in {HEADER, "HTTP_ORIGIN"}}
