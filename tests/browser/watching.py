"""The requests that a site has answered. Playwright does not see all requests that a browser sends."""

from typing import Any, NamedTuple

from tests.browser.sites import Site


class Answered(NamedTuple):
    """A request that a site has answered (PEP 3333), the status of the answer, and its time in seconds."""

    environ: dict[str, str]
    status: int
    at: float

    @property
    def method(self) -> str:
        return self.environ["REQUEST_METHOD"]

    @property
    def path(self) -> str:
        """The path with the query."""
        return "?".join(filter(None, [self.environ["PATH_INFO"], self.environ["QUERY_STRING"]]))

    def sent(self, header: str) -> str:
        """Return a header of the request, or ""."""
        return self.environ.get(f"HTTP_{header.upper().replace('-', '_')}", "")


class Watch:
    """What a site has answered since the watch was made, or since `forget`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.forget()

    def forget(self) -> None:
        self._seen: int = self._site.do("result = len(wire.answered)")

    def answered(self, path: str = "", method: str = "") -> list[Answered]:
        """Return the answers to requests with this path and method; preflights only with the method OPTIONS."""
        rows: list[Any] = self._site.do("result = wire.answered[n:]", n=self._seen)
        found = [one for one in (Answered(*row) for row in rows) if path in one.path]
        return [one for one in found if (one.method == method if method else one.method != "OPTIONS")]
