"""Our access tokens in ``jose`` from npm, which nobody here wrote: the published keys verify them, and nothing else.

It is run by node as any service would run it, against the project behind a real socket.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.browsers import ACCESS, login
from tests.clients.conftest import Package
from tests.clients.serving import served
from tokens import keys
from tokens.access_tokens import Codec, codec

ORIGIN = "https://testserver"
SECOND = timedelta(seconds=1)

Verify = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def address() -> Iterator[str]:
    """Where the public keys are: fetched over a socket, as a verifier does."""
    with served() as found:
        yield found


@pytest.fixture
def verify(package: Package, address: str) -> Verify:
    """Returns what jose makes of each token."""

    def run(*tokens: str, issuer: str = ORIGIN, audience: str = ORIGIN) -> list[dict[str, Any]]:
        asked = {"address": address, "issuer": issuer, "audience": audience, "tokens": tokens}
        done = subprocess.run(
            ["node", "verify.mjs"],
            cwd=package("jose"),
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        results: list[dict[str, Any]] = json.loads(done.stdout)
        return results

    return run


def minted(codec: Codec, **changes: Any) -> str:
    now = datetime.now(UTC)
    asked: dict[str, Any] = {
        "subject": "42",
        "session_id": uuid4(),
        "generation": 0,
        "now": now,
        "lifetime": 600 * SECOND,
        "session_ends_at": now + 3600 * SECOND,
        "authenticated_at": now,
        "methods": ["pwd"],
    }
    return codec.dumps(**{**asked, **changes})[0]


@pytest.mark.django_db
def test_jose_verifies_what_a_sign_in_gives(api, user, verify):
    session_id = login(api, user)["session"]["id"]
    (result,) = verify(api.cookies[ACCESS].value)
    assert result["header"] == {"alg": "EdDSA", "kid": keys.keyring().kid, "typ": "at+jwt"}
    assert result["claims"]["sub"] == str(user.pk)
    assert result["claims"]["sid"] == session_id
    assert result["claims"]["gen"] == 0


def test_jose_verifies_tokens_of_a_fall_back_key(verify, settings):
    old = minted(codec())
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret that is long enough to be taken for a real one, too"
    results = verify(old, minted(codec()))
    assert [result["claims"]["sub"] for result in results] == ["42", "42"]
    assert len({result["header"]["kid"] for result in results}) == 2


def test_jose_refuses_a_tampered_token(verify):
    header, claims, signature = minted(codec()).split(".")
    other = minted(codec(), subject="43").split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    results = verify(f"{header}.{other[1]}.{signature}", f"{header}.{claims}.{flipped}")
    assert results == [{"refused": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}] * 2


def test_jose_refuses_what_is_not_ours_or_not_for_it(verify):
    stranger = Codec(keys.derive(["a stranger's secret"]), ORIGIN, ORIGIN, "latchkey")
    expired = minted(codec(), now=datetime.now(UTC) - 601 * SECOND)
    assert verify(minted(stranger), expired) == [
        {"refused": "ERR_JWKS_NO_MATCHING_KEY"},
        {"refused": "ERR_JWT_EXPIRED"},
    ]
    (for_another,) = verify(minted(codec()), audience="https://other.example")
    (by_another,) = verify(minted(codec()), issuer="https://other.example")
    assert for_another == by_another == {"refused": "ERR_JWT_CLAIM_VALIDATION_FAILED"}
