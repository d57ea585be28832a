"""What a peer runs on: how its tables, users and processes are made. Each platform implements `Platform`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tests.benchmarks.command  # noqa: F401 - the modules below need Django, which this sets up.
from tests.benchmarks.clients import Client, Request, Response
from tests.clients.projects import Server
from tests.scale.cluster import Node


class Examined(Server):
    """A process that serves a peer's project, whose clock can be moved. It listens at ``port`` of this machine."""

    @abstractmethod
    def forward(self, seconds: float) -> None:
        """Move its clock forward."""

    def send(self, request: Request, wait: Callable[[], Any] = lambda: None) -> Response:
        """``wait``: called when the connection is open."""
        connection = self.connect()
        try:
            connection.connect()
            wait()
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            headers = tuple((name.lower(), value) for name, value in answer.getheaders())
            return Response(answer.status, headers, answer.read())
        finally:
            connection.close()

    def succeeds(self, client: Client, request: Request) -> bool:
        """Send the client's request, let it take the response, and return whether that is a success."""
        response = self.send(request)
        client.take(response)
        return response.status == 200

    def serves(self, client: Client) -> bool:
        """Return whether a GET of the client is answered as one of a signed-in user."""
        return self.succeeds(client, client.ask())

    def refreshes(self, client: Client) -> bool:
        """Return whether the client can refresh, and is signed in afterwards."""
        return self.succeeds(client, client.refresh()) and self.serves(client)


class Platform(ABC):
    """``environment`` always is the project's: it names the project, and the database in ``DATABASE_URL``.

    ``connections``: how many requests it may be sent at the same time, if it does not take any number. ``warm_up``: the
    seconds of GETs after which each client refreshes once, before anything is measured. ``warm_ups``: how often.
    """

    connections: int | None = None
    warm_up, warm_ups = 0.3, 1

    @property
    @abstractmethod
    def missing(self) -> str:
        """Return what has to be installed, and how; the empty string if nothing is missing."""

    @property
    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the versions of its packages."""

    @abstractmethod
    def environment(self, project: str) -> dict[str, str]:
        """Return the environment variables that name a project."""

    @abstractmethod
    def populate(self, users: int, environment: Mapping[str, str]) -> None:
        """Create the tables, and so many users."""

    @abstractmethod
    def started(self, environment: Mapping[str, str], folder: Path) -> AbstractContextManager[Node]:
        """Serve the project as in production. ``folder``: for the log."""

    @abstractmethod
    def examined(self, environment: Mapping[str, str]) -> AbstractContextManager[Examined]:
        """Serve the project in a process whose clock can be moved. The tables must exist."""
