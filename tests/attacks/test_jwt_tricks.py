"""Every known trick with JSON Web Tokens, played at the doors of a running server and not at the codec alone."""

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

from tests.attacks.doors import INTROSPECTION, assert_shut, is_let_in
from tests.attacks.test_wycheproof import minted
from tests.browsers import ACCESS, login
from tests.tokens.test_access_tokens import VECTORS, decoded, encoded, signed
from tokens import signing_keys
from tokens.access_tokens import MAX_LENGTH, codec
from tokens.keys import keyring

STRANGER = Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _services_may_ask(settings: Any) -> None:
    settings.TOKENS = INTROSPECTION


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that is accepted."""
    header, claims, _ = minted().split(".")
    return decoded(header), decoded(claims)


def forged(header: bytes | dict[str, Any], claims: bytes | dict[str, Any]) -> Iterator[str]:
    """A token of these, as whoever lacks our key signs it: not at all, with a key of their own, with our public one."""
    yield f"{encoded(header)}.{encoded(claims)}."
    yield f"{encoded(header)}.{encoded(claims)}.{minted().rpartition('.')[2]}"
    yield signed(header, claims, STRANGER.sign)
    public: Any = keyring().signing_key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (b"", public.public_bytes_raw(), pem, pem.strip()):
        yield signed(header, claims, lambda text, secret=secret: hmac.digest(secret, text, "sha256"))


def test_a_token_of_ours_is_accepted_as_it_is_and_when_signed_here():
    ours: Any = keyring().signing_key.private
    for text in (minted(), signed(*good(), sign=ours.sign)):
        codec().loads(text, datetime.now(UTC))


def test_nothing_that_is_changed_passes_though_our_own_key_signed_it():
    ours: Any = keyring().signing_key.private
    texts = []
    for vector in VECTORS["invalid"]:
        header, claims = good()
        header |= vector.get("header", {})
        claims |= vector.get("claims", {})
        for fields, names in [(header, "without_header"), (claims, "without_claims")]:
            for name in vector.get(names, ()):
                del fields[name]
        texts.append(signed(header, claims, ours.sign))
    assert_shut(texts)


@pytest.mark.parametrize(
    "alg", ["none", "None", "nOnE", "HS256", "HS512", "EdDSA", "ES256", "RS256", "", None, ["EdDSA"]]
)
def test_no_algorithm_lets_anybody_else_sign(alg):
    header, claims = good()
    assert_shut(forged(header | {"alg": alg}, claims))


def test_a_field_that_stands_there_twice_says_neither():
    """Parsers differ in which one counts; here none gets so far."""
    header, claims = good()
    body = json.dumps(claims)[1:-1]
    for first, second in [("none", "EdDSA"), ("EdDSA", "none"), ("HS256", "EdDSA")]:
        doubled = f'{{"alg":"{first}","alg":"{second}","kid":"{header["kid"]}","typ":"at+jwt"}}'.encode()
        assert_shut(forged(doubled, claims))
        assert_shut(forged(doubled, f'{{{body},"sub":"1","sub":"2"}}'.encode()))


def test_a_token_brings_no_key_along_and_none_is_fetched():
    header, claims = good()
    public = STRANGER.public_key()
    jwk = signing_keys.required_members(public)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json"
        for more in [
            {"jwk": jwk},
            {"jku": url},
            {"x5u": url},
            {"x5c": [encoded(public.public_bytes_raw())]},
            {"kid": signing_keys.thumbprint(public), "jwk": jwk},
            {"kid": url},
            {"kid": "../../../../dev/null"},
            {"kid": "file:///dev/null"},
            {"kid": "' OR '1'='1"},
            {"kid": "1; DROP TABLE tokens_refreshtoken"},
            {"kid": {"$ne": ""}},
            {"kid": "\u0000"},
            {"crit": ["exp"], "exp": 1},
            {"crit": ["b64"], "b64": False},
        ]:
            assert_shut(forged(header | more, claims))
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 3000,
        '{"a":' * 900,
        "[" * 1500 + "]" * 1500,
        '"' + "\\u0000" * 400 + '"',
        "9" * 3000,
        "-" + "9" * 3000,
        "1e" + "9" * 30,
        '"\\ud800"',
        '"\ufeff"',
        "{" + ",".join(f'"{number}":{{}}' for number in range(300)) + "}",
    ],
    ids=lambda bomb: bomb[:10],
)
def test_a_bomb_inside_goes_off_nowhere(bomb):
    header, claims = good()
    heads = [bomb.encode(), json.dumps(header | {"x": "HERE"}).replace('"HERE"', bomb).encode()]
    for head in heads:
        assert_shut(forged(head, claims))
    for name in ("exp", "aud", "sid", "amr"):
        assert_shut(forged(header, json.dumps(claims | {name: "HERE"}).replace('"HERE"', bomb).encode()))


def test_a_huge_token_is_not_looked_into():
    good_one = minted()
    head, payload, signature = good_one.split(".")
    assert_shut(
        [
            "A" * (MAX_LENGTH + 1),
            f"{head}.{payload}{'A' * MAX_LENGTH}.{signature}",
            f"{head}.{payload}.{signature}{'A' * MAX_LENGTH}",
            "." * MAX_LENGTH,
            "A." * (MAX_LENGTH // 2),
            f"{'A' * 2**17}.{'A' * 2**17}.{'A' * 2**17}",
        ]
    )


def test_a_token_inside_a_token_is_not_unpacked():
    header, _ = good()
    ours: Any = keyring().signing_key.private
    inner = minted()
    for cty in ("JWT", "jwt", "application/jwt"):
        assert_shut([signed(header | {"cty": cty}, inner.encode(), ours.sign)])
    assert_shut([signed(header, json.dumps(inner).encode(), ours.sign), f"{inner}.{inner}"])


@pytest.mark.django_db
def test_a_good_token_in_the_wrong_place_opens_nothing(api, user):
    """RFC 6750 sections 2.2 and 2.3, which we do not offer: a token in a body or an address ends up in logs."""
    login(api, user)
    text = api.cookies[ACCESS].value
    stranger = Client()
    for answer in (
        stranger.get("/api/auth/me", {"access_token": text}),
        stranger.get("/api/auth/me", {"token": text}),
        stranger.delete("/api/auth/sessions", {"access_token": text}, content_type="application/json"),
        stranger.get("/api/auth/me", headers={"X-Authorization": f"Bearer {text}"}),
        stranger.get("/api/auth/me", headers={"Authorization": text}),
        stranger.get("/api/auth/me", headers={"Authorization": f"Bearer {text}, Bearer {text}"}),
        stranger.get("/api/auth/me", headers={"Authorization": f'Bearer "{text}"'}),
        stranger.get("/api/auth/me", headers={"Authorization": f"Token {text}"}),
    ):
        assert answer.status_code == 401
        assert not is_let_in(answer)
