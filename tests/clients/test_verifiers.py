"""The verifiers of `docs/how-to/verify-access-tokens.md`, taken from its text.

They verify the tokens of a real server by its published keys.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import jwt
import pytest
from django.db import connections

from tests.docs.blocks import Block, block, blocks
from tests.documents import PAGES
from tests.factories import PASSWORD, UserFactory
from tests.programs import completed, free_port
from tests.tokens.protocol.pems import pem
from tests.tokens.service.processes import WebServer, url_of
from tokens.conf import signing_keys, token_settings
from tokens.protocol import access_tokens, keys

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

NAME = "docs/how-to/verify-access-tokens.md"
PAGE = PAGES["how-to/verify-access-tokens.md"]
PYTHON, NODE = block(NAME, "# verify.py"), block(NAME, "// verify.mjs")
MAKE_SECRET = block(NAME, "SECRET=$(openssl rand -hex 32)")
[INTROSPECTION] = [one for one in blocks(NAME, "sh") if one.first.startswith("curl ")]
[INTROSPECTED] = blocks(NAME, "json")
SECRET = "the secret of a server of this test, long enough to be a real one"
OLD_SECRET = "the secret that the server had before and which is a fallback now"
RUN_PYTHON = """
import json, sys
from verify import verify
results = []
for token in json.load(sys.stdin):
    try:
        results.append(verify(token))
    except Exception as error:
        assert isinstance(error, __import__("jwt").PyJWTError), repr(error)
        results.append({"refused": type(error).__name__})
print(json.dumps(results))
"""
RUN_NODE = """
import { verify } from "./verify.mjs";
let text = "";
for await (const chunk of process.stdin) text += chunk;
const results = [];
for (const token of JSON.parse(text)) {
  results.push(await verify(token).catch((error) => ({ refused: error.code ?? String(error) })));
}
console.log(JSON.stringify(results));
"""

Verify = Callable[..., list[dict[str, Any]]]


class Auth:
    """A server with its port in its ORIGIN, and the keys that it signs with. ``more``: environment variables."""

    def __init__(self, **more: str) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.ring = keys.derive([SECRET])
        environment = {"LISTEN": str(self.port), "ORIGIN": self.origin, "SECRET_KEY": SECRET, "DEBUG": "true"}
        environment |= {"SECRET_KEY_FALLBACKS": OLD_SECRET, "TOKENS_MODES": "cookie,body", **more}
        self.server = WebServer(url_of(connections["default"].settings_dict), **environment)

    def sign_in(self) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = {"email": UserFactory().email, "password": PASSWORD, "mode": "body"}
        connection.request("POST", "/api/auth/login", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        data: dict[str, Any] = json.loads(response.read())
        connection.close()
        assert response.status == 200, data
        return data

    def minted(
        self, ring: keys.KeyRing | None = None, issuer: str = "", audience: str = "", age: int = 0, typ: str = "at+jwt"
    ) -> str:
        """Return a token that the server would have signed, except for the arguments. ``age`` is in seconds."""
        now = datetime.now(UTC)
        with patch.object(access_tokens, "TYPE", typ):
            codec = access_tokens.Codec(ring or self.ring, issuer or self.origin, audience or self.origin, "latchkey")
            return codec.dumps(
                subject="42",
                session_id=uuid4(),
                generation=None,
                now=now - timedelta(seconds=age),
                lifetime=timedelta(seconds=600),
                session_ends_at=now + timedelta(days=1),
                authenticated_at=now,
                methods=["pwd"],
            )[0]


@pytest.fixture
def auth() -> Iterator[Auth]:
    """A real server. With keys from the test, a verifier that fetches them from a wrong URL would go unnoticed."""
    found = Auth()
    yield found
    found.server.stop()


def runs_blocks() -> list[Block]:
    return [PYTHON, NODE, MAKE_SECRET, INTROSPECTION, INTROSPECTED]


@pytest.fixture(params=["python", "node"])
def verify(request: pytest.FixtureRequest, tmp_path: Path, auth: Auth) -> Verify:
    """Runs a verifier of the page on tokens, and returns the claims of each, or the error that rejected it."""
    if request.param == "python":
        (tmp_path / "verify.py").write_text(PYTHON.text)
        command = [sys.executable, "-c", RUN_PYTHON]
    else:
        (tmp_path / "verify.mjs").write_text(NODE.text)
        (tmp_path / "run.mjs").write_text(RUN_NODE)
        (tmp_path / "node_modules").symlink_to(request.getfixturevalue("package")("jose") / "node_modules")
        command = ["node", "run.mjs"]

    def run(*tokens: str) -> list[dict[str, Any]]:
        given, env = json.dumps(tokens), {**os.environ, "AUTH_ORIGIN": auth.origin}
        results: list[dict[str, Any]] = json.loads(completed(*command, cwd=tmp_path, env=env, input=given).stdout)
        return results

    return run


def test_a_verifier_accepts_a_good_token_and_rejects_all_others(auth, verify):
    signed_in = auth.sign_in()
    good = signed_in["access_token"]
    header, claims, signature = good.split(".")
    other = auth.minted().split(".")
    attacker = keys.derive(["an attacker's secret"])
    es256 = keys.derive([SECRET], [signing_keys.load(pem("ES256"))])
    bad = {
        "expired": auth.minted(age=601),
        "wrong audience": auth.minted(audience="https://other.example"),
        "wrong issuer": auth.minted(issuer="https://other.example"),
        "wrong type": auth.minted(typ="JWT"),
        "other claims": f"{header}.{other[1]}.{signature}",
        "other signature": f"{header}.{claims}.{other[2]}",
        "no signature": f"{header}.{claims}.",
        "another key": auth.minted(attacker),
        "another algorithm": auth.minted(es256),
        "a refresh token": signed_in["refresh_token"],
        "garbage": "garbage",
        "nothing": "",
    }
    of_old_key = auth.minted(keys.derive([OLD_SECRET]))
    first, *refused, minted, old = verify(good, *bad.values(), auth.minted(), of_old_key)
    assert (first["sub"], first["sid"]) == (signed_in["user"]["id"], signed_in["session"]["id"])
    # So the others are rejected for what is wrong with them, and not because this test made them.
    assert minted["sub"] == old["sub"] == "42"
    for why, result in zip(bad, refused, strict=True):
        assert set(result) == {"refused"}, why
        assert result["refused"].startswith(("ERR_J", "Invalid", "Expired", "Decode", "MissingRequired", "PyJWKClient"))
        assert "Connection" not in result["refused"], why


def test_pyjwt_verifies_a_token_with_nothing_but_the_issuer(auth):
    metadata = httpx.get(f"{auth.origin}/.well-known/oauth-authorization-server", timeout=60).json()
    signed_in = auth.sign_in()
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(signed_in["access_token"])
    claims = jwt.decode(
        signed_in["access_token"], key, [key.algorithm_name], issuer=metadata["issuer"], audience=auth.origin
    )
    assert (metadata["issuer"], claims["sub"]) == (auth.origin, signed_in["user"]["id"])


@pytest.mark.parametrize("verifier", [PYTHON, NODE], ids=["Python", "Node"])
def test_the_verifiers_are_about_ten_lines(verifier):
    lines = [line for line in verifier.body.splitlines() if line.strip()]
    assert len(lines) <= 10


def test_the_page_says_when_a_verifier_sees_a_revocation():
    section = PAGE
    assert "its access token stays valid until it expires" in section
    assert "/api/auth/introspect" in section


def test_the_settings_accept_the_digest_that_the_page_s_command_prints(settings):
    name, _, entry = completed("bash", "-c", MAKE_SECRET.text).stdout.strip().partition("=")
    assert name == "TOKENS_INTROSPECTION_CLIENTS"
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [entry]}
    assert [one.id for one in token_settings().introspectors] == ["api"]


def test_a_service_asks_as_the_page_says_whether_a_token_is_valid_now():
    setting, secret = completed("bash", "-c", f"{MAKE_SECRET.text}echo $SECRET").stdout.split()
    name, _, value = setting.partition("=")
    auth = Auth(**{name: value})
    try:
        signed_in = auth.sign_in()
        good, bad = (
            bash(INTROSPECTION, auth.origin, SECRET=secret, TOKEN=token)
            for token in (signed_in["access_token"], signed_in["refresh_token"])
        )
    finally:
        auth.server.stop()
    shown = json.loads(INTROSPECTED.text)
    assert {name: type(good[name]) for name in shown} == {name: type(value) for name, value in shown.items()}
    assert (good["active"], good["sub"], good["sid"]) == (True, signed_in["user"]["id"], signed_in["session"]["id"])
    assert bad == {"active": False}


def bash(command: Block, origin: str, **variables: str) -> Any:
    """Run a block with curl at this server, and return the JSON that it prints, or None if it prints nothing."""
    text = command.text.replace("https://auth.example.org", origin)
    printed = completed("bash", "-ec", text, env={**os.environ, **variables}).stdout
    return json.loads(printed) if printed else None
