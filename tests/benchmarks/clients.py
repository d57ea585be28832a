"""A client for each peer, and the peers: `PEERS`."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from tests.benchmarks.peers import Client, Peer, Request, Response

PROJECTS = "tests.benchmarks.projects"
USER_AGENT = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"}
"""Some peers look at it."""


def _view(headers: Mapping[str, str]) -> Request:
    return Request("GET", "/view", {**USER_AGENT, **headers})


def _post(path: str, fields: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    sent = {**USER_AGENT, "Content-Type": "application/json", **(headers or {})}
    return Request("POST", path, sent, json.dumps(fields).encode())


def _told(response: Response) -> dict[str, Any]:
    """What an answer says, if it is a success."""
    return json.loads(response.body) if response.status == HTTPStatus.OK else {}


def _set_cookies(response: Response) -> Iterator[tuple[str, str]]:
    """The cookies that an answer sets; one that it clears is empty."""
    for name, value in response.headers:
        if name == "set-cookie":
            pair, _, attributes = value.partition(";")
            cookie, _, text = pair.partition("=")
            yield cookie, "" if "max-age=0" in attributes.lower() else text.strip('"')


class Browser(Client):
    """A client that keeps cookies, under whatever names they come."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def take(self, response: Response) -> None:
        for name, value in _set_cookies(response):
            if value:
                self._cookies[name] = value
            else:
                self._cookies.pop(name, None)

    def _header(self, *, without: str = "nothing") -> dict[str, str]:
        """Return the header that sends the cookies back, but those whose name ends so."""
        sent = [f"{name}={value}" for name, value in self._cookies.items() if not name.endswith(without)]
        return {"Cookie": "; ".join(sent)} if sent else {}


class Latchkey(Browser):
    """Refreshes at the endpoint. It leaves the access cookie out then, which would not have expired in a benchmark."""

    def sign_in(self, email: str, password: str) -> Request:
        return _post("/api/auth/login", {"email": email, "password": password, "remember": True}, self._header())

    def ask(self) -> Request:
        return _view(self._header())

    def refresh(self) -> Request:
        return _post("/api/auth/refresh", {}, self._header(without="access"))


class LatchkeyUnseen(Latchkey):
    """Asks on, and is refreshed by the middleware."""

    def refresh(self) -> Request:
        return _view(self._header(without="access"))


class DjangoSession(Browser):
    """Signs in by the form of Django's own view."""

    def sign_in(self, email: str, password: str) -> Request:
        token = "0" * 32
        fields = {"username": email, "password": password, "csrfmiddlewaretoken": token}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={token}"}
        return Request("POST", "/sign-in", {**USER_AGENT, **headers}, urlencode(fields).encode())

    def ask(self) -> Request:
        return _view(self._header())

    def refresh(self) -> Request:
        raise NotImplementedError


class Knox(Client):
    def __init__(self) -> None:
        self._token = ""

    def sign_in(self, email: str, password: str) -> Request:
        basic = b64encode(f"{email}:{password}".encode()).decode()
        return _post("/api/auth/login/", {}, {"Authorization": f"Basic {basic}"})

    def ask(self) -> Request:
        return _view({"Authorization": f"Token {self._token}"})

    def refresh(self) -> Request:
        raise NotImplementedError

    def take(self, response: Response) -> None:
        self._token = _told(response).get("token", self._token)


class Pair(Client):
    """A client that is told an access and a refresh token, and sends the one as a bearer, the other as JSON."""

    def __init__(self) -> None:
        self._access = self._refresh = ""

    def ask(self) -> Request:
        return _view({"Authorization": f"Bearer {self._access}"})


class SimpleJWT(Pair):
    def sign_in(self, email: str, password: str) -> Request:
        return _post("/api/token/", {"username": email, "password": password})

    def refresh(self) -> Request:
        return _post("/api/token/refresh/", {"refresh": self._refresh})

    def take(self, response: Response) -> None:
        found = _told(response)
        self._access, self._refresh = found.get("access", self._access), found.get("refresh", self._refresh)


class AllauthSession(Client):
    def __init__(self) -> None:
        self._token = ""

    def sign_in(self, email: str, password: str) -> Request:
        return _post("/_allauth/app/v1/auth/login", {"email": email, "password": password})

    def ask(self) -> Request:
        return _view({"X-Session-Token": self._token})

    def refresh(self) -> Request:
        raise NotImplementedError

    def take(self, response: Response) -> None:
        self._token = _told(response).get("meta", {}).get("session_token", self._token)


class AllauthJWT(Pair):
    def sign_in(self, email: str, password: str) -> Request:
        return _post("/_allauth/app/v1/auth/login", {"email": email, "password": password})

    def refresh(self) -> Request:
        return _post("/_allauth/app/v1/tokens/refresh", {"refresh_token": self._refresh})

    def take(self, response: Response) -> None:
        answer = _told(response)
        found = {**answer.get("meta", {}), **answer.get("data", {})}
        self._access, self._refresh = found.get("access_token", self._access), found.get("refresh_token", self._refresh)


class JWTAllauth(Browser):
    """Is told the access token, and keeps the refresh token as a cookie."""

    def __init__(self) -> None:
        super().__init__()
        self._access = ""

    def sign_in(self, email: str, password: str) -> Request:
        return _post("/jwt-allauth/login/", {"email": email, "password": password})

    def ask(self) -> Request:
        return _view({"Authorization": f"Bearer {self._access}"})

    def refresh(self) -> Request:
        return _post("/jwt-allauth/refresh/", {}, self._header())

    def take(self, response: Response) -> None:
        super().take(response)
        self._access = _told(response).get("access", self._access)


PEERS = (
    Peer("Latchkey", f"{PROJECTS}.latchkey.settings", Latchkey, refreshes=True, rotates=True),
    Peer("Latchkey, unseen", f"{PROJECTS}.latchkey.settings", LatchkeyUnseen, refreshes=True, rotates=True),
    Peer("simplejwt", f"{PROJECTS}.simplejwt.settings", SimpleJWT, refreshes=True, rotates=True),
    Peer("allauth, JWT", f"{PROJECTS}.allauth.jwt", AllauthJWT, refreshes=True, rotates=True),
    Peer("jwt-allauth", f"{PROJECTS}.jwt_allauth.settings", JWTAllauth, refreshes=True, rotates=True),
    Peer("allauth, session", f"{PROJECTS}.allauth.settings", AllauthSession, refreshes=False, rotates=False),
    Peer("knox", f"{PROJECTS}.knox.settings", Knox, refreshes=False, rotates=False),
    Peer("Django sessions, db", f"{PROJECTS}.sessions.settings", DjangoSession, refreshes=False, rotates=False),
    Peer("Django sessions, cached_db", f"{PROJECTS}.sessions.cached", DjangoSession, refreshes=False, rotates=False),
)
