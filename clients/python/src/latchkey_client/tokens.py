"""The tokens of one session, and the JSON text in which stores keep them."""

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

_TOKEN = re.compile(r"[!-~]+")
"""A token is printable ASCII (RFC 6749 appendix A). Anything else cannot be sent in a header."""
_LONGEST = 10**10
"""Seconds. No access token lives longer than 300 years, and a number without a limit is no number of seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of one session. Their ``repr`` does not contain them.

    ``access_token``: empty if there is none yet. ``expires_at``: when it expires, in seconds since the epoch, by the
    clock of this machine. ``lifetime``: its lifetime in seconds. ``device_token``: makes this client known at its next
    sign-in.
    """

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    lifetime: float = 0.0
    device_token: str = field(default="", repr=False)

    def remaining(self, now: float) -> float:
        """Return for how many seconds the access token is valid after ``now``. At most 0 if it is not."""
        return self.expires_at - now if self.access_token else 0.0

    def as_text(self) -> str:
        """Return the tokens as JSON."""
        return json.dumps(asdict(self))


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text says. Raise `ValueError` if it is none.

    The exceptions of `json` have the text, with the tokens in it, as an attribute. So another one is raised, after they
    were handled. A text that is nested too deeply is no JSON either.
    """
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    raise ValueError("not JSON")


def parse(text: str | bytes) -> Tokens:
    """Return the tokens that `Tokens.as_text` has written. Raise `ValueError`, which does not contain the text."""
    try:
        given = read_json(text)
        tokens = Tokens(**given)
    except (ValueError, TypeError):
        raise ValueError("not the tokens of a session") from None
    texts = (tokens.refresh_token, tokens.access_token, tokens.device_token)
    numbers = (tokens.expires_at, tokens.lifetime)
    if not (all(isinstance(one, str) for one in texts) and all(isinstance(one, int | float) for one in numbers)):
        raise ValueError("not the tokens of a session")
    return tokens


def answered(answer: Any, before: Tokens | None, now: float) -> Tokens:
    """Return the tokens after the server's answer to a sign-in or a refresh. Raise `ValueError` if it has none.

    ``before``: the tokens until now. An answer without a refresh token means that they keep theirs. ``now``: when the
    request was sent, so that the access token is never believed to live longer than it does.
    """
    if not isinstance(answer, dict):
        raise ValueError("no tokens")
    refresh_token = answer.get("refresh_token") or (before.refresh_token if before else "")
    device_token = answer.get("device_token") or (before.device_token if before else "")
    access_token, lifetime = answer.get("access_token"), answer.get("expires_in")
    required = (refresh_token, access_token, device_token) if device_token else (refresh_token, access_token)
    if not all(map(_is_token, required)):
        raise ValueError("no tokens")
    if not isinstance(lifetime, int | float) or not -_LONGEST <= lifetime <= _LONGEST:
        raise ValueError("no lifetime")
    return Tokens(
        refresh_token=str(refresh_token),
        access_token=str(access_token),
        expires_at=now + lifetime,
        lifetime=lifetime,
        device_token=str(device_token),
    )


def _is_token(given: Any) -> bool:
    return isinstance(given, str) and _TOKEN.fullmatch(given) is not None
