"""Known attacks on JSON Web Tokens, against the endpoints of the server instead of the codec.

`tests.tokens.protocol.test_access_tokens` tests tokens that are too long, and changed ones that our own key signed.
"""

import hmac
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from tests.attacks.entry_points import INTROSPECTION, assert_rejected, minted
from tests.browsers import ACCESS
from tests.tokens.protocol.jws import encoded, opened, signed
from tokens.conf import codec, keyring
from tokens.protocol import signing_keys

ATTACKER = Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _introspection(settings: Any) -> None:
    """Introspection is on. Otherwise its endpoint would reject every token, forged or not."""
    settings.TOKENS = INTROSPECTION


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token that is accepted."""
    return opened(minted())


def signed_by_us(header: Any, claims: Any) -> str:
    private: Any = keyring().signing_key.private
    return signed(header, claims, private.sign)


def forged(header: bytes | dict[str, Any], claims: bytes | dict[str, Any]) -> Iterator[str]:
    """Yield tokens with all signatures that are possible without our private key.

    These are no signature, one of another token, one of the attacker's key, and HMACs with our public key.
    """
    yield f"{encoded(header)}.{encoded(claims)}."
    yield f"{encoded(header)}.{encoded(claims)}.{minted().rpartition('.')[2]}"
    yield signed(header, claims, ATTACKER.sign)
    public: Any = keyring().signing_key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (b"", public.public_bytes_raw(), pem, pem.strip()):
        yield signed(header, claims, lambda text, secret=secret: hmac.digest(secret, text, "sha256"))


def test_a_token_of_ours_is_accepted_as_it_is_and_when_signed_here():
    for text in (minted(), signed_by_us(*good())):
        codec().loads(text, datetime.now(UTC))


ALGORITHMS = [
    *("none", "None", "NONE", "nOnE", "HS256", "HS512", "EdDSA", "ES256", "RS256"),
    pytest.param("", id="an empty text"),
    pytest.param(None, id="null"),
    pytest.param(["EdDSA"], id="a list"),
]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_algorithm_lets_anybody_else_sign(alg):
    header, claims = good()
    assert_rejected(forged(header | {"alg": alg}, claims))


def test_a_repeated_field_is_rejected_before_either_value_counts():
    """Parsers differ in which of the two values they use."""
    header, claims = good()
    body = json.dumps(claims)[1:-1]
    for first, second in [("none", "EdDSA"), ("EdDSA", "none"), ("HS256", "EdDSA")]:
        doubled = f'{{"alg":"{first}","alg":"{second}","kid":"{header["kid"]}","typ":"at+jwt"}}'.encode()
        assert_rejected(forged(doubled, claims))
        assert_rejected(forged(doubled, f'{{{body},"sub":"1","sub":"2"}}'.encode()))


def test_a_token_brings_no_key_along_and_none_is_fetched():
    header, claims = good()
    public = ATTACKER.public_key()
    jwk = signing_keys.required_members(public)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json"
        kids = ["../../../../dev/null", "file:///dev/null", "' OR '1'='1", "1; DROP TABLE tokens_refreshtoken", "\0"]
        for more in [
            *({"jwk": jwk}, {"jku": url}, {"x5u": url}, {"x5c": [encoded(public.public_bytes_raw())]}),
            {"kid": signing_keys.thumbprint(public), "jwk": jwk},
            *({"kid": kid} for kid in (signing_keys.thumbprint(public), url, *kids, {"$ne": ""})),
            *({"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}),
        ]:
            assert_rejected(forged(header | more, claims))
        with pytest.raises(BlockingIOError):
            server.accept()


BOMBS = {
    "open lists": "[" * 3000,
    "open objects": '{"a":' * 900,
    "nested lists": "[" * 1500 + "]" * 1500,
    "escaped zeros": '"' + "\\u0000" * 400 + '"',
    "a long number": "9" * 3000,
    "a long negative number": "-" + "9" * 3000,
    "a huge exponent": "1e" + "9" * 30,
    "half of a surrogate pair": '"\\ud800"',
    "a byte order mark": '"\ufeff"',
    "an object with many members": "{" + ",".join(f'"{number}":{{}}' for number in range(300)) + "}",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_json_that_is_costly_to_parse_is_rejected_without_an_error(bomb):
    header, claims = good()
    for head in (bomb, json.dumps(header | {"x": "HERE"}).replace('"HERE"', bomb)):
        assert_rejected(forged(head.encode(), claims))
    for name in ("exp", "aud", "sid", "amr"):
        assert_rejected(forged(header, json.dumps(claims | {name: "HERE"}).replace('"HERE"', bomb).encode()))


def test_a_token_inside_a_token_is_not_unpacked():
    header, _ = good()
    inner = minted()
    nested = [signed_by_us(header | {"cty": cty}, inner.encode()) for cty in ("JWT", "jwt", "application/jwt")]
    assert_rejected([*nested, signed_by_us(header, json.dumps(inner).encode()), f"{inner}.{inner}"])


@pytest.mark.django_db
def test_a_good_token_in_the_wrong_place_opens_nothing(signed_in):
    """We do not offer RFC 6750 sections 2.2 and 2.3, because tokens in a body or an address end up in logs."""
    text = signed_in.cookies[ACCESS].value
    client = Client()
    headers = [f"Bearer {text}, Bearer {text}", f'Bearer "{text}"', f"Token {text}", text]
    for response in (
        client.get("/api/auth/me", {"access_token": text}),
        client.get("/api/auth/me", {"token": text}),
        client.delete("/api/auth/sessions", {"access_token": text}, content_type="application/json"),
        client.get("/api/auth/me", headers={"X-Authorization": f"Bearer {text}"}),
        *(client.get("/api/auth/me", headers={"Authorization": header}) for header in headers),
    ):
        assert response.status_code == 401
