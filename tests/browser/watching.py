"""What a site's server saw and answered: a browser does not show all that it sends to whoever drives it."""

from typing import Any, NamedTuple

from tests.browser.sites import Site

_HEADERS = (
    "Host",
    "Origin",
    "Authorization",
    "Cookie",
    "Sec-Secure-Session-Id",
    "Secure-Session-Response",
    "Secure-Session-Skipped",
)
_WATCH = """
import time
import __main__
if not hasattr(__main__, "answered"):
    __main__.answered = []

    def log_request(self, code="-", size="-"):
        sent = {name: self.headers.get(name, "") for name in headers}
        __main__.answered.append([self.command, self.path, int(code), sent, time.perf_counter()])

    __main__.Handler.log_request = log_request
"""


class Answered(NamedTuple):
    """A request that a site has answered: what a browser sent, the status that it got, and when (in seconds)."""

    method: str
    path: str
    status: int
    sent: dict[str, str]
    at: float


class Watch:
    """What a site has answered since the watch began, or `forget`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        site.do(_WATCH, headers=_HEADERS)
        self.forget()

    def forget(self) -> None:
        self._seen: int = self._site.do("import __main__; result = len(__main__.answered)")

    def answered(self, path: str = "", method: str = "") -> list[Answered]:
        """Preflights apart, unless they are asked for."""
        rows: list[list[Any]] = self._site.do("import __main__; result = __main__.answered[n:]", n=self._seen)
        found = [Answered(*row) for row in rows]
        return [
            one for one in found if path in one.path and (one.method == method if method else one.method != "OPTIONS")
        ]
