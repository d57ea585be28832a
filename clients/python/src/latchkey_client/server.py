"""The requests that carry passwords and refresh tokens, and what their answers mean.

They are sent by a client of their own, which follows no redirect: a redirect could lead the refresh token to another
server. The program's own client never gets these requests, so that they are in no log and no history of it.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from latchkey_client.errors import LatchkeyError, SessionIdle, SignInRefused, SignInRequired, Unavailable
from latchkey_client.tokens import Tokens, answered, read_json

TIMEOUT = 10.0
"""Seconds for which one request waits for its answer."""
FIRST_PAUSE = 0.25
"""Seconds before a request is repeated. Each further pause is twice as long."""
PROBLEM = "application/problem+json"


class AuthServer:
    """Latchkey, as a client sees it in storage mode `body`.

    ``api``: the URL of the auth API. ``patience``: for how many seconds a refresh is tried again. ``options``: further
    arguments of `httpx.Client`, such as ``verify`` and ``proxy``.
    """

    def __init__(
        self,
        api: httpx.URL,
        patience: float,
        options: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api, self._patience, self._clock, self._sleep = api, patience, clock, sleep
        # Without https, a proxy that the environment names for all requests would see the tokens.
        proxies = {} if api.scheme == "https" else {"trust_env": False}
        self._options = {"timeout": TIMEOUT, **proxies, **options, "follow_redirects": False}

    def sign_in(self, given: Mapping[str, str], before: Tokens | None) -> Tokens:
        """Open a session. ``given``: the user name, the password, and what else a sign-in may have.

        Raise `SignInRefused` or `Unavailable`. A sign-in is sent once, because a repetition could open two sessions.
        """
        device = {"device_token": before.device_token} if before and before.device_token else {}
        with self._client() as client:
            sent_at, response = self._post(client, "login", {**device, **given, "mode": "body"})
        if response.status_code == httpx.codes.OK:
            return _tokens(response, before, sent_at)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise Unavailable(_text(response), retry_after(response))
        raise SignInRefused(_text(response), problem_code(response))

    def refresh(self, tokens: Tokens) -> Tokens:
        """Return the next tokens of the session.

        If the answer is lost, the same refresh token is sent again. The server then answers with the same successor.
        Raise `SignInRequired` if the session has ended, `SessionIdle` if it needs a factor, and `Unavailable` if there
        was no answer within ``patience``.
        """
        spent, pause = 0.0, FIRST_PAUSE
        with self._client() as client:
            while True:
                began = self._clock()
                try:
                    sent_at, response = self._post(client, "refresh", {"refresh_token": tokens.refresh_token})
                    if response.status_code == httpx.codes.OK:
                        return _tokens(response, tokens, sent_at)
                    _raise_for(response)
                except Unavailable as error:
                    wait = max(pause, error.retry_after or 0)
                    # Durations are added up, because the clock may have been set back meanwhile.
                    spent += max(self._clock() - began, 0) + wait
                    if spent > self._patience:
                        raise
                    self._sleep(wait)
                    pause *= 2

    def sign_out(self, tokens: Tokens) -> None:
        """End the session. Raise `Unavailable` if that is not certain. The session may have ended before."""
        with self._client() as client:
            _, response = self._post(client, "logout", {"refresh_token": tokens.refresh_token})
        if not response.is_success:
            raise Unavailable(_text(response), retry_after(response))

    def _client(self) -> httpx.Client:
        return httpx.Client(**self._options)

    def _post(self, client: httpx.Client, name: str, body: Mapping[str, str]) -> tuple[float, httpx.Response]:
        """Send a request. Return when it was sent, and its response. Raise `Unavailable` if there is no response.

        The exception of httpx has the request with its body, so another one is raised. The body is ASCII, because
        what UTF-8 cannot encode would be an exception with the body too.
        """
        sent_at, content = self._clock(), json.dumps(dict(body)).encode("ascii")
        try:
            url, headers = self._api.join(name), {"Content-Type": "application/json"}
            return sent_at, client.post(url, content=content, headers=headers)
        except httpx.RequestError as error:
            reason = type(error).__name__
        raise Unavailable(f"{self._api.host} has not answered: {reason}.")


def problem_code(response: httpx.Response) -> str:
    """Return the code of a problem (RFC 9457), whose body was read, or an empty text."""
    code = _problem(response).get("code")
    return code if isinstance(code, str) else ""


def is_problem(response: httpx.Response) -> bool:
    """Return whether the body of a response is a problem, by its type."""
    kind: str = response.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() == PROBLEM


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds in the header Retry-After, or None. Latchkey sends no dates in it."""
    try:
        seconds = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _problem(response: httpx.Response) -> dict[str, Any]:
    if not is_problem(response):
        return {}
    try:
        found = read_json(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _raise_for(response: httpx.Response) -> None:
    """Raise the exception for a refresh that was not answered with tokens."""
    code = problem_code(response)
    if code == "session_ended":
        raise SignInRequired(_text(response))
    if code == "session_idle":
        raise SessionIdle(_text(response))
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
        raise Unavailable(_text(response), retry_after(response))
    raise LatchkeyError(_text(response))


def _tokens(response: httpx.Response, before: Tokens | None, sent_at: float) -> Tokens:
    with _no_tokens():
        return answered(read_json(response.content), before, sent_at)


@contextmanager
def _no_tokens() -> Iterator[None]:
    # A proxy's page with status 200, or an answer that ends too early.
    try:
        yield
    except ValueError:
        raise Unavailable("The answer of the server has no tokens. Is its storage mode body on (MODES)?") from None


def _text(response: httpx.Response) -> str:
    """Return the status of a response, and the text that a problem has for the user."""
    problem = _problem(response)
    detail, errors = problem.get("detail"), problem.get("errors")
    status = f"The server has answered {response.status_code}"
    if response.is_redirect:
        return f"{status}, a redirect. Give the address at which Latchkey answers itself."
    fields = "".join(f" {name}: {texts}" for name, texts in errors.items()) if isinstance(errors, dict) else ""
    return f"{status}: {detail}{fields}" if isinstance(detail, str) else f"{status}."
