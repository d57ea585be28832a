"""Browsers that bind their sessions to a key, as Chromium does: they register it, prove it and refresh by it."""

import re
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.test import Client
from django.utils import timezone

from tests.browsers import ACCESS, post
from tests.factories import PASSWORD
from tests.tokens.protocol.jws import encoded
from tests.tokens.service.holders import Holder
from tokens.models import RefreshToken
from tokens.protocol import signing_keys
from tokens.service import binding, possession
from tokens.service.binding import Challenge
from tokens.service.issuing import IssuedTokens

OFFERED = {"DEVICE_BOUND": "offer"}
PROOF, CHALLENGE = "Secure-Session-Response", "Secure-Session-Challenge"
REGISTRATION = "Secure-Session-Registration"
REGISTER, REFRESH_BY_KEY = "/api/auth/device/register", "/api/auth/device/refresh"
SAME_ORIGIN = {"Origin": "https://testserver", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}


def a_key(algorithm: str = "ES256") -> Any:
    """Return a private key. For RSA it is the same each time, because making one takes long."""
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else an_rsa_key()


@lru_cache
def an_rsa_key() -> Any:
    return rsa.generate_private_key(65537, 2048)


def jwk_of(key: Any) -> dict[str, str]:
    return signing_keys.required_members(key.public_key())


def sign(key: Any, claims: Any, algorithm: str = "ES256", **header: Any) -> str:
    """Return a proof. ``header`` adds or replaces members of its header; ``raw`` replaces the header as a whole."""
    protected = header.pop("raw", {"alg": algorithm, "typ": "dbsc+jwt", **header})
    unsigned = f"{encoded(protected)}.{encoded(claims)}"
    signature = jwt.get_algorithm_by_name(algorithm).sign(unsigned.encode(), key)
    return f"{unsigned}.{encoded(signature)}"


def registration(key: Any, algorithm: str, challenge: str, authorization: str, /, **claims: Any) -> str:
    """Return the proof that registers the key. ``claims`` replace those that the server asked for."""
    signed = {"jti": challenge, "authorization": authorization, **claims}
    return sign(key, signed, algorithm, jwk=jwk_of(key))


def parameters(header: str) -> dict[str, str]:
    """Return the parameters of a header like ``path="…";challenge="…"``."""
    return dict(re.findall(r'([a-z]+)="([^"]*)"', header))


class KeyHolder(Holder):
    """A session whose browser has a key, as `tokens.service.binding` sees it."""

    def __init__(self, user: Any, algorithm: str = "ES256", **options: Any) -> None:
        super().__init__(user, **{"remember": True, **options})
        self.algorithm, self.key = algorithm, a_key(algorithm)

    def registration(self, key: Any = None, **claims: Any) -> str:
        offered = binding.offer(self.id, timezone.now())
        return registration(key or self.key, self.algorithm, offered.challenge, offered.ticket, **claims)

    def register(self, text: str | None = None, token: str | None = None) -> Any:
        """Register the key, with a refresh token as the cookie would carry it, by default the current one."""
        return binding.register(text or self.registration(), timezone.now(), partial(self._is_held, token))

    def _is_held(self, token: str | None, row: RefreshToken) -> bool:
        return possession.is_token_of(row, row.now, token or self.token, {row.mode})

    def challenge(self) -> str:
        answer = binding.refresh(self.id, None, self.client)
        assert isinstance(answer, Challenge)
        return answer.text

    def proof(self, challenge: str | None = None, **header: Any) -> str:
        return sign(self.key, {"jti": challenge or self.challenge()}, self.algorithm, **header)

    def prove(self, text: str | None = None) -> Any:
        """Present a proof, by default a valid one."""
        return binding.refresh(self.id, text or self.proof(), self.client)

    def bind(self) -> "KeyHolder":
        assert isinstance(self.register(), IssuedTokens)
        answer = self.prove()
        assert isinstance(answer, IssuedTokens)
        self.issued = answer
        return self


@dataclass
class Device:
    """A browser and its key, as the HTTP endpoints see them.

    ``sid``: the id of its session. ``offer``: the parameters of the offer to register. ``challenge``: the last one.
    """

    browser: Client
    algorithm: str = "ES256"
    key: Any = None
    sid: str = ""
    challenge: str = ""
    offer: dict[str, str] = field(default_factory=dict)

    def sign_in(self, user: Any, **more: Any) -> "Device":
        self.key = a_key(self.algorithm)
        data = {"email": user.email, "password": PASSWORD, "remember": True, **more}
        response = post(self.browser, "/api/auth/login", data)
        assert response.status_code == 200, response.content
        self.sid = response.json()["session"]["id"]
        return self.offered(response)

    def offered(self, response: Any) -> "Device":
        """Keep the offer to register that a response to a sign-in has."""
        self.offer = parameters(response[REGISTRATION])
        return self

    def registration(self, **claims: Any) -> str:
        return registration(self.key, self.algorithm, self.offer["challenge"], self.offer["authorization"], **claims)

    def register(self, proof: str | None = None) -> Any:
        return self.send(self.offer["path"], **{PROOF: self.registration() if proof is None else proof})

    def ask(self, proof: str | None = None, sid: str | None = None) -> Any:
        """Request a refresh, with this proof or without one."""
        headers = {"Sec-Secure-Session-Id": self.sid if sid is None else sid}
        return self.send(REFRESH_BY_KEY, **headers, **({} if proof is None else {PROOF: proof}))

    def proof(self, **header: Any) -> str:
        """Return a proof of the last challenge."""
        return sign(self.key, {"jti": self.challenge}, self.algorithm, **header)

    def refresh(self) -> Any:
        """Refresh as a browser does: sign each challenge, and give up after five attempts."""
        for _ in range(5):
            response = self.ask(self.proof() if self.challenge else None)
            if response.status_code != 403:
                break
        return response

    def bind(self, user: Any, **more: Any) -> "Device":
        """Sign in, register the key and prove it."""
        assert self.sign_in(user, **more).register().status_code == 200
        assert self.refresh().status_code == 200
        return self

    def lose_access(self) -> None:
        """Delete the access cookie, as the browser does when it has ended."""
        del self.browser.cookies[ACCESS]

    def send(self, path: str, **headers: str) -> Any:
        response = self.browser.post(path, headers={**SAME_ORIGIN, **headers})
        if CHALLENGE in response.headers:
            self.challenge, _, _ = response[CHALLENGE].removeprefix('"').partition('"')
        return response
