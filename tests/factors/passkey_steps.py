"""What tests of passkeys do again and again."""

from typing import Any

from tests.browsers import post
from tests.factors.authenticator import Authenticator

PASSKEYS = "/api/auth/factors/passkeys"
BY_PASSKEY = "/api/auth/passkey"
FACTOR = "/api/auth/factor"


def create(client: Any, device: Authenticator, **more: Any) -> dict[str, Any]:
    """Create a passkey by the API for the user who is signed in. Return what the list says about it."""
    options = post(client, PASSKEYS).json()["options"]
    answer = post(client, PASSKEYS, {"credential": device.create(options), **more})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["passkey"]
    return found


def begin(client: Any, **more: Any) -> dict[str, Any]:
    """Return the options of a sign-in."""
    answer = post(client, BY_PASSKEY, more)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["options"]
    return found


def answer(client: Any, device: Authenticator, path: str = FACTOR, **changed: Any) -> Any:
    """Answer by the passkey where a factor is asked for: at a second step, or at another path."""
    options = post(client, path, {"method": "passkey"}).json()["options"]
    return post(client, path, {"method": "passkey", "answer": device.sign(options, **changed)})


def sign_in(client: Any, device: Authenticator, **changed: Any) -> Any:
    """Sign in by the API. ``changed`` is what the authenticator does otherwise."""
    return post(client, BY_PASSKEY, {"answer": device.sign(begin(client), **changed)})
