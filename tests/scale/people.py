"""Accounts, and browsers that sign in to them at any part of the cluster."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.browsers import REFRESH
from tests.clients.projects import Answer, Server
from tests.clients.projects import Browser as AnyBrowser

SIGNED_OUT = 401


class Browser(AnyBrowser):
    csrf_cookie = "__Host-csrf"
    session_id = ""

    @property
    def token(self) -> str:
        return self.cookies[REFRESH]

    def try_to_sign_in(self, at: Server, account: "Account") -> Answer:
        answer = self.post_json(at, "/api/auth/login", {"email": account.email, "password": account.password})
        if answer.status == 200:
            self.session_id = answer.json()["session"]["id"]
        return answer

    def sign_in(self, at: Server, account: "Account") -> "Browser":
        answer = self.try_to_sign_in(at, account)
        assert answer.status == 200, answer.text
        return self

    def refresh(self, at: Server) -> Answer:
        return self.post_json(at, "/api/auth/refresh")

    def me(self, at: Server) -> Answer:
        return self.get(at, "/api/auth/me")

    def sign_out(self, at: Server) -> int:
        """Sign out, and return the status of the response."""
        return self.post_json(at, "/api/auth/logout").status

    def end(self, at: Server, other: "Browser") -> None:
        """End the session of another browser of the same user."""
        assert self.delete(at, f"/api/auth/sessions/{other.session_id}").status == 204


@dataclass(slots=True)
class Account:
    origin: str
    password: str = "a password of a user"
    email: str = field(default_factory=lambda: f"user-{uuid4().hex[:12]}@app.test")

    def browser(self, at: Server) -> Browser:
        """Return a new browser that is signed in."""
        return Browser(self.origin).sign_in(at, self)

    def open(self, registrar: Any) -> "Account":
        """Create the account. ``registrar``: a process that uses the cluster's database."""
        registrar.run("open_account", self.email, self.password)
        return self
