"""``jose`` from npm verifies our access tokens with the published keys, and rejects all others.

Node runs it as any service would, against the project behind a real socket.
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
from tokens import conf
from tokens.conf import codec
from tokens.protocol import keys
from tokens.protocol.access_tokens import Codec

ORIGIN = "https://testserver"
Verify = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def verify(package: Package) -> Iterator[Verify]:
    """Returns what jose says about each token. It fetches the keys over a socket, so they must really be published."""
    with served() as address:

        def run(*tokens: str, issuer: str = ORIGIN, audience: str = ORIGIN) -> list[dict[str, Any]]:
            asked = json.dumps({"address": address, "issuer": issuer, "audience": audience, "tokens": tokens})
            command = ["node", "verify.mjs"]
            done = subprocess.run(command, cwd=package("jose"), input=asked, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            results: list[dict[str, Any]] = json.loads(done.stdout)
            return results

        yield run


def minted(codec: Codec, subject: str = "42", age: int = 0) -> str:
    """Return an access token that was issued ``age`` seconds ago."""
    now = datetime.now(UTC)
    return codec.dumps(
        subject=subject,
        session_id=uuid4(),
        generation=0,
        now=now - timedelta(seconds=age),
        lifetime=timedelta(seconds=600),
        session_ends_at=now + timedelta(hours=1),
        authenticated_at=now,
        methods=["pwd"],
    )[0]


@pytest.mark.django_db
def test_the_token_of_a_sign_in_is_verified(api, user, verify):
    session_id = login(api, user)["session"]["id"]
    (result,) = verify(api.cookies[ACCESS].value)
    assert result["header"] == {"alg": "EdDSA", "kid": conf.keyring().kid, "typ": "at+jwt"}
    assert result["claims"].items() >= {"sub": str(user.pk), "sid": session_id, "gen": 0}.items()


def test_tokens_of_a_fallback_key_are_verified(verify, settings):
    old = minted(codec())
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret that is long enough to be taken for a real one, too"
    results = verify(old, minted(codec()))
    assert [result["claims"]["sub"] for result in results] == ["42", "42"]
    assert len({result["header"]["kid"] for result in results}) == 2


def test_other_tokens_are_rejected(verify):
    good = minted(codec())
    header, claims, signature = good.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    bad = {
        "other claims": f"{header}.{minted(codec(), subject='43').split('.')[1]}.{signature}",
        "a changed signature": f"{header}.{claims}.{flipped}",
        "an unknown key": minted(Codec(keys.derive(["an attacker's secret"]), ORIGIN, ORIGIN, "latchkey")),
        "an expired token": minted(codec(), age=601),
    }
    results = dict(zip(bad, verify(*bad.values()), strict=True))
    results["another audience"] = verify(good, audience="https://other.example")[0]
    results["another issuer"] = verify(good, issuer="https://other.example")[0]
    assert results == {
        "other claims": {"refused": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"},
        "a changed signature": {"refused": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"},
        "an unknown key": {"refused": "ERR_JWKS_NO_MATCHING_KEY"},
        "an expired token": {"refused": "ERR_JWT_EXPIRED"},
        "another audience": {"refused": "ERR_JWT_CLAIM_VALIDATION_FAILED"},
        "another issuer": {"refused": "ERR_JWT_CLAIM_VALIDATION_FAILED"},
    }
