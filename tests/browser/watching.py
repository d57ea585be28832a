"""What a site's server saw and answered: a browser does not show all that it sends to whoever drives it."""

from typing import Any, NamedTuple

from tests.browser.sites import Site


class Answered(NamedTuple):
    """A request that a site has answered: what it was (PEP 3333), the status, and when (in seconds)."""

    environ: dict[str, str]
    status: int
    at: float

    @property
    def method(self) -> str:
        return self.environ["REQUEST_METHOD"]

    @property
    def path(self) -> str:
        """With the query."""
        return "?".join(filter(None, [self.environ["PATH_INFO"], self.environ["QUERY_STRING"]]))

    def sent(self, header: str) -> str:
        """A header that came with it, or ""."""
        return self.environ.get(f"HTTP_{header.upper().replace('-', '_')}", "")


class Watch:
    """What a site has answered since the watch began, or `forget`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.forget()

    def forget(self) -> None:
        self._seen: int = self._site.do("result = len(wire.answered)")

    def answered(self, path: str = "", method: str = "") -> list[Answered]:
        """Preflights apart, unless they are asked for."""
        rows: list[Any] = self._site.do("result = wire.answered[n:]", n=self._seen)
        found = [Answered(*row) for row in rows]
        return [
            one for one in found if path in one.path and (one.method == method if method else one.method != "OPTIONS")
        ]
