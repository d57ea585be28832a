"""A client for each peer, and the peers: `PEERS`."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from tests.benchmarks.peers import Client, Peer, Request, Response

PROJECTS = "tests.benchmarks.projects"


def _post(path: str, fields: dict[str, Any], **headers: str) -> Request:
    return Request("POST", path, {"Content-Type": "application/json", **headers}, json.dumps(fields).encode())


def _cookies(response: Response) -> Iterator[tuple[str, str]]:
    """The cookies that an answer sets; a cleared one has no value."""
    for name, value in response.headers:
        if name == "set-cookie":
            pair, _, attributes = value.partition(";")
            cookie, _, text = pair.partition("=")
            yield cookie, "" if "max-age=0" in attributes.lower() else text.strip('"')


class Browser(Client):
    """A client that keeps cookies, under whatever names they come."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def take(self, response: Response) -> None:
        for name, value in _cookies(response):
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)

    def header(self, *, without: str = "nothing") -> dict[str, str]:
        """Return the header that sends the cookies back, but those whose name ends so."""
        sent = [f"{name}={value}" for name, value in self.cookies.items() if not name.endswith(without)]
        return {"Cookie": "; ".join(sent)} if sent else {}


class Latchkey(Browser):
    """Refreshes at the endpoint. It leaves the access cookie out then, which would not have expired in a benchmark."""

    def sign_in(self, email: str, password: str) -> Request:
        return _post("/api/auth/login", {"email": email, "password": password, "remember": True}, **self.header())

    def ask(self) -> Request:
        return Request("GET", "/view", self.header())

    def refresh(self) -> Request:
        return _post("/api/auth/refresh", {}, **self.header(without="access"))


class LatchkeyUnseen(Latchkey):
    """Just asks again, and is refreshed by the middleware."""

    def refresh(self) -> Request:
        return Request("GET", "/view", self.header(without="access"))


class DjangoSession(Browser):
    """Signs in by the form of Django's own view."""

    def sign_in(self, email: str, password: str) -> Request:
        token = "0" * 32
        fields = {"username": email, "password": password, "csrfmiddlewaretoken": token}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={token}"}
        return Request("POST", "/sign-in", headers, urlencode(fields).encode())

    def ask(self) -> Request:
        return Request("GET", "/view", self.header())

    def refresh(self) -> Request:
        raise NotImplementedError


class SimpleJWT(Client):
    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def sign_in(self, email: str, password: str) -> Request:
        return _post("/api/token/", {"username": email, "password": password})

    def ask(self) -> Request:
        return Request("GET", "/view", {"Authorization": f"Bearer {self._tokens['access']}"})

    def refresh(self) -> Request:
        return _post("/api/token/refresh/", {"refresh": self._tokens["refresh"]})

    def take(self, response: Response) -> None:
        found = json.loads(response.body)
        self._tokens |= {name: found[name] for name in ("access", "refresh") if name in found}


PEERS = (
    Peer("Latchkey", f"{PROJECTS}.latchkey.settings", Latchkey, refreshes=True, rotates=True),
    Peer("Latchkey, unseen", f"{PROJECTS}.latchkey.settings", LatchkeyUnseen, refreshes=True, rotates=True),
    Peer("simplejwt", f"{PROJECTS}.simplejwt.settings", SimpleJWT, refreshes=True, rotates=True),
    Peer("Django sessions, db", f"{PROJECTS}.sessions.settings", DjangoSession, refreshes=False, rotates=False),
    Peer("Django sessions, cached_db", f"{PROJECTS}.sessions.cached", DjangoSession, refreshes=False, rotates=False),
)
