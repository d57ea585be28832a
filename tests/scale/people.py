"""Somebody with an account, and the browsers that they sign in from, each at whichever part of the cluster it asks."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.browsers import ACCESS, REFRESH
from tests.clients.projects import Answer, Server
from tests.clients.projects import Browser as AnyBrowser

SIGNED_OUT = 401


class Browser(AnyBrowser):
    csrf_cookie = "__Host-csrf"
    session_id = ""

    @property
    def token(self) -> str:
        return self.cookies[REFRESH]

    def sign_in(self, at: Server, person: "Person") -> "Browser":
        answer = self.post_json(at, "/api/auth/login", {"email": person.email, "password": person.password})
        assert answer.status == 200, answer.text
        self.session_id = answer.json()["session"]["id"]
        return self

    def refresh(self, at: Server) -> Answer:
        return self.post_json(at, "/api/auth/refresh")

    def me(self, at: Server) -> Answer:
        return self.get(at, "/api/auth/me")

    def let_access_token_expire(self) -> None:
        del self.cookies[ACCESS]


@dataclass(frozen=True, slots=True)
class Person:
    origin: str
    password: str = "a password of somebody's"
    email: str = field(default_factory=lambda: f"somebody-{uuid4().hex[:12]}@app.test")

    def browser(self, at: Server) -> Browser:
        """A new browser, signed in."""
        return Browser(self.origin).sign_in(at, self)

    def open_account(self, registrar: Any) -> "Person":
        registrar.run("open_account", self.email, self.password)
        return self
