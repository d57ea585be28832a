"""What a benchmark knows of a peer: a Django project of its own, and a client that keeps to that project's rules.

A client does no input or output: it says what it would send next, and is told what was answered. So the load
generator, the table of correctness and whoever wants to look at one exchange drive the same clients.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without Host and Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """Its answer. ``headers``: in the order in which they came, names in lower case; Set-Cookie may come twice."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Client(ABC):
    """One independent client, with tokens of its own."""

    @abstractmethod
    def sign_in(self, email: str, password: str) -> Request: ...

    @abstractmethod
    def ask(self) -> Request:
        """A GET of ``/view``, signed in."""

    @abstractmethod
    def refresh(self) -> Request:
        """What this peer's clients send once their access token has expired. Not for a peer that has no refresh."""

    @abstractmethod
    def take(self, response: Response) -> None:
        """Keep the tokens that an answer brings."""


@dataclass(frozen=True, slots=True)
class Peer:
    """``project``: its settings module. ``rotates``: whether each refresh brings a new refresh token."""

    name: str
    project: str
    client: type[Client]
    refreshes: bool
    rotates: bool
