"""A browser that binds its sessions to keys of its own, as Chromium does: it registers, proves, and signs anew."""

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from django.test import Client

from tests.browsers import ACCESS, login
from tokens import signing_keys

OFFER = {"DEVICE_BOUND": "offer"}
REGISTRATION = "Secure-Session-Registration"
CHALLENGE = "Secure-Session-Challenge"
REGISTER, REFRESH = "/api/auth/device/register", "/api/auth/device/refresh"
SAME_ORIGIN = {"Origin": "https://testserver", "Sec-Fetch-Site": "same-origin"}


def a_key(algorithm: str = "ES256", bits: int = 2048) -> Any:
    """A private key, made anew."""
    return generate_private_key(SECP256R1()) if algorithm == "ES256" else generate_rsa(65537, bits)


def jwk_of(key: Any) -> dict[str, str]:
    return signing_keys.required_members(key.public_key())


def segment(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(key: Any, claims: Any, algorithm: str = "ES256", **header: Any) -> str:
    """Return a proof, signed as its header says unless it is told otherwise. What is None is not in the header."""
    said = {"alg": algorithm, "typ": "dbsc+jwt", **header}
    unsigned = f"{segment({name: value for name, value in said.items() if value is not None})}.{segment(claims)}"
    signature = jwt.get_algorithm_by_name(algorithm).sign(unsigned.encode(), key)
    return f"{unsigned}.{segment(signature)}"


def parts(header: str) -> dict[str, str]:
    """The parameters of a header: ``path="…";challenge="…"``."""
    return dict(re.findall(r'([a-z]+)="([^"]*)"', header))


@dataclass
class Device:
    """One browser and its key. ``challenge``: the one that was sent ahead; ``sid``: its session."""

    browser: Client
    algorithm: str = "ES256"
    key: Any = None
    sid: str = ""
    challenge: str = ""
    offer: dict[str, str] = field(default_factory=dict)

    def sign_in(self, user: Any, **more: Any) -> "Device":
        self.key = self.key or a_key(self.algorithm)
        response = self.browser.post(
            "/api/auth/login",
            {"email": user.email, "password": "correct horse battery staple", **more},
            content_type="application/json",
        )
        assert response.status_code == 200, response.content
        self.sid = response.json()["session"]["id"]
        self.offer = parts(response[REGISTRATION])
        return self

    def registration(self, **claims: Any) -> str:
        signed = {"jti": self.offer["challenge"], "authorization": self.offer["authorization"], **claims}
        return sign(self.key, signed, self.algorithm, jwk=jwk_of(self.key))

    def register(self, proof: str | None = None) -> Any:
        return self._sent(self.offer["path"], {"Secure-Session-Response": proof or self.registration()})

    def ask(self, proof: str | None = None, sid: str | None = None) -> Any:
        """Ask for a refresh, with this proof or none."""
        headers = {"Sec-Secure-Session-Id": sid or self.sid}
        return self._sent(REFRESH, headers | ({"Secure-Session-Response": proof} if proof is not None else {}))

    def prove(self, **claims: Any) -> str:
        return sign(self.key, {"jti": self.challenge, **claims}, self.algorithm)

    def refresh(self) -> Any:
        """Refresh as a browser does: what it is challenged with it signs, a few times."""
        for _ in range(5):
            response = self.ask(self.prove() if self.challenge else None)
            if response.status_code != 403:
                return response
        return response

    def bind(self, user: Any, **more: Any) -> "Device":
        """Sign in, register, and prove it once."""
        self.sign_in(user, **more)
        assert self.register().status_code == 200
        assert self.refresh().status_code == 200
        return self

    def loses_access(self) -> None:
        self.browser.cookies.pop(ACCESS, None)

    def _sent(self, path: str, headers: dict[str, str]) -> Any:
        response = self.browser.post(path, headers={**SAME_ORIGIN, **headers})
        if CHALLENGE in response.headers:
            text, _, _ = response[CHALLENGE].partition(";")
            self.challenge = text.strip('"')
        return response


__all__ = ["login"]
