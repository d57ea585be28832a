"""A client for each peer that is measured.

A client does no input or output: it returns the request that it would send next, and takes the response. So the load
generator and the table of correctness use the same clients.
"""

import json
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

USER_AGENT = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"}
"""Some peers read it."""
TOKENS = {"token", "access", "refresh", "session_token", "access_token", "refresh_token"}
"""The names that peers give to tokens in the JSON of a response."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, without Host and Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """``headers``: in the order in which they arrived, names in lower case. Set-Cookie may occur twice."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Client(ABC):
    """A client with its own tokens, which keeps the rules of its peer's project. ``view``: where it sends its GETs."""

    view = "/view"

    @abstractmethod
    def sign_in(self, email: str, password: str) -> Request: ...

    @abstractmethod
    def credentials(self) -> dict[str, str]:
        """Return the headers by which the server recognizes the client."""

    def ask(self) -> Request:
        """Return a GET that is answered with the user's key."""
        return Request("GET", self.view, {**USER_AGENT, **self.credentials()})

    def refresh(self) -> Request:
        """Return the request that clients of this peer send after their access token has expired, if it has such."""
        raise NotImplementedError

    @abstractmethod
    def sign_out(self) -> Request:
        """Return the request that ends the session at the server."""

    @abstractmethod
    def take(self, response: Response) -> None:
        """Keep the tokens that a response contains."""


def _post(path: str, fields: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    sent = {**USER_AGENT, "Content-Type": "application/json", **(headers or {})}
    return Request("POST", path, sent, json.dumps(fields).encode())


def _post_form(path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Request:
    sent = {**USER_AGENT, "Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return Request("POST", path, sent, urlencode(fields).encode())


class Browser(Client):
    """A client that keeps every cookie."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def take(self, response: Response) -> None:
        for _, value in (header for header in response.headers if header[0] == "set-cookie"):
            pair, _, attributes = value.partition(";")
            cookie, _, text = pair.partition("=")
            if text.strip('"') and "max-age=0" not in attributes.lower():
                self._cookies[cookie] = text.strip('"')
            else:
                self._cookies.pop(cookie, None)

    def credentials(self, *, without: str = "nothing") -> dict[str, str]:
        """``without``: leave out cookies whose name ends in this."""
        sent = [f"{name}={value}" for name, value in self._cookies.items() if not name.endswith(without)]
        return {"Cookie": "; ".join(sent)} if sent else {}


class Latchkey(Browser):
    """Refreshes at the endpoint. It does not send the access cookie then, which in a benchmark has not expired yet."""

    def sign_in(self, email: str, password: str) -> Request:
        fields = {"email": email, "password": password, "remember": True}
        return _post("/api/auth/login", fields, self.credentials())

    def refresh(self) -> Request:
        return _post("/api/auth/refresh", {}, self.credentials(without="access"))

    def sign_out(self) -> Request:
        return _post("/api/auth/logout", {}, self.credentials())


class LatchkeyUnseen(Latchkey):
    """Sends the next GET instead, and the middleware refreshes."""

    def refresh(self) -> Request:
        return Request("GET", "/view", {**USER_AGENT, **self.credentials(without="access")})


class DjangoSession(Browser):
    """Signs in by the form of Django's own view."""

    csrf_token = "0" * 32

    def sign_in(self, email: str, password: str) -> Request:
        return self._submit("/sign-in", username=email, password=password)

    def sign_out(self) -> Request:
        return self._submit("/sign-out")

    def _submit(self, path: str, **fields: str) -> Request:
        self._cookies["csrftoken"] = self.csrf_token
        return _post_form(path, {**fields, "csrfmiddlewaretoken": self.csrf_token}, self.credentials())


class BetterAuth(Browser):
    """Has one session cookie, which is not replaced. Requests prolong the session, so this client never refreshes."""

    def sign_in(self, email: str, password: str) -> Request:
        return _post("/api/auth/sign-in/email", {"email": email, "password": password}, self.credentials())

    def sign_out(self) -> Request:
        return _post("/api/auth/sign-out", {}, {"Origin": "http://localhost", **self.credentials()})


class BetterAuthCached(BetterAuth):
    """Also has the cookie cache: a signed cookie with session and user, which expires as access tokens do.

    After that the next GET reads the session from the database, and its response renews the cookie.
    """

    def refresh(self) -> Request:
        return Request("GET", self.view, {**USER_AGENT, **self.credentials(without="session_data")})


class TokenClient(Client):
    """A client that reads its tokens from the JSON of a response. The attributes say where it sends them, and how."""

    login, user_field = "", "email"
    renewal, renewal_field = "", ""
    logout = ""
    header, scheme = "Authorization", "Bearer {access}"

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    def sign_in(self, email: str, password: str) -> Request:
        return _post(self.login, {self.user_field: email, "password": password})

    def credentials(self) -> dict[str, str]:
        return {self.header: self.scheme.format(**self.tokens)}

    def refresh(self) -> Request:
        return _post(self.renewal, {self.renewal_field: self.tokens[self.renewal_field]})

    def sign_out(self) -> Request:
        return _post(self.logout, {}, self.credentials())

    def take(self, response: Response) -> None:
        answer = json.loads(response.body) if response.status == 200 else {}
        for part in (answer, answer.get("meta", {}), answer.get("data", {})):
            self.tokens |= {name: part[name] for name in TOKENS & part.keys()}


class SimpleJWT(TokenClient):
    login, user_field = "/api/token/", "username"
    renewal, renewal_field = "/api/token/refresh/", "refresh"

    def sign_out(self) -> Request:
        return _post("/api/token/blacklist/", {"refresh": self.tokens["refresh"]})


class AllauthSession(TokenClient):
    login = "/_allauth/app/v1/auth/login"
    header, scheme = "X-Session-Token", "{session_token}"

    def sign_out(self) -> Request:
        return Request("DELETE", "/_allauth/app/v1/auth/session", {**USER_AGENT, **self.credentials()})


class AllauthJWT(AllauthSession):
    header, scheme = "Authorization", "Bearer {access_token}"
    renewal, renewal_field = "/_allauth/app/v1/tokens/refresh", "refresh_token"


class Knox(TokenClient):
    scheme, logout = "Token {token}", "/api/auth/logout/"

    def sign_in(self, email: str, password: str) -> Request:
        basic = b64encode(f"{email}:{password}".encode()).decode()
        return _post("/api/auth/login/", {}, {"Authorization": f"Basic {basic}"})


class JWTAllauth(TokenClient):
    """Reads the access token from JSON, and keeps the refresh token as a cookie."""

    login, logout = "/jwt-allauth/login/", "/jwt-allauth/logout/"

    def __init__(self) -> None:
        super().__init__()
        self._browser = DjangoSession()

    def refresh(self) -> Request:
        return _post("/jwt-allauth/refresh/", {}, self._browser.credentials())

    def sign_out(self) -> Request:
        return _post(self.logout, {}, {**self.credentials(), **self._browser.credentials()})

    def take(self, response: Response) -> None:
        super().take(response)
        self._browser.take(response)


class Glewlwyd(TokenClient):
    """Sends the grants of OAuth 2.0 to the token endpoint (RFC 6749, sections 4.3 and 6)."""

    view, token_endpoint = "/api/oidc/userinfo", "/api/oidc/token"
    scheme = "Bearer {access_token}"

    def sign_in(self, email: str, password: str) -> Request:
        fields = {"grant_type": "password", "scope": "openid", "username": email, "password": password}
        return _post_form(self.token_endpoint, fields)

    def refresh(self) -> Request:
        fields = {"grant_type": "refresh_token", "refresh_token": self.tokens["refresh_token"]}
        return _post_form(self.token_endpoint, fields)

    def sign_out(self) -> Request:
        fields = {"grant_type": "delete_token", "refresh_token": self.tokens["refresh_token"]}
        return _post_form(self.token_endpoint, fields)


class Bare(Client):
    """Sends no credentials. Where others refresh, it sends a POST."""

    view = "/bare"

    def sign_in(self, email: str, password: str) -> Request:
        return self.ask()

    def credentials(self) -> dict[str, str]:
        return {}

    def refresh(self) -> Request:
        return _post("/bare-post", {})

    def sign_out(self) -> Request:
        return self.ask()

    def take(self, response: Response) -> None:
        pass


class BareGlewlwyd(Bare):
    """Asks Glewlwyd for its configuration, which it has in memory. There is no such POST, so this sends GETs only."""

    view = "/config"

    def refresh(self) -> Request:
        return self.ask()
