"""The peers that are measured, and for each platform what answers without authentication."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.benchmarks import clients
from tests.benchmarks.glewlwyd import Glewlwyd
from tests.benchmarks.nodejs import NodeJS
from tests.benchmarks.platforms import Platform
from tests.benchmarks.servers import Django

DJANGO, NODE, GLEWLWYD = Django(), NodeJS(), Glewlwyd()


@dataclass(frozen=True, slots=True)
class Peer:
    """``project``: its name on its platform. ``rotates``: whether each refresh returns a new refresh token."""

    name: str
    project: str
    client: type[clients.Client]
    refreshes: bool = False
    rotates: bool = False
    platform: Platform = DJANGO

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that name its project."""
        return self.platform.environment(self.project)


BARES = (
    Peer("bare view, Django", "bare", clients.Bare, refreshes=True),
    Peer("bare handler, Node.js", "bare", clients.Bare, refreshes=True, platform=NODE),
    Peer("bare endpoint, Glewlwyd", "oidc", clients.BareGlewlwyd, refreshes=True, platform=GLEWLWYD),
)
"""What no peer on the same platform can be faster than."""
PEERS = (
    Peer("Latchkey", "latchkey", clients.Latchkey, refreshes=True, rotates=True),
    Peer("Latchkey, unseen", "latchkey", clients.LatchkeyUnseen, refreshes=True, rotates=True),
    Peer("simplejwt", "simplejwt", clients.SimpleJWT, refreshes=True, rotates=True),
    Peer("allauth, JWT", "allauth_jwt", clients.AllauthJWT, refreshes=True, rotates=True),
    Peer("jwt-allauth", "jwt_allauth", clients.JWTAllauth, refreshes=True, rotates=True),
    Peer("allauth, session", "allauth", clients.AllauthSession),
    Peer("knox", "knox", clients.Knox),
    Peer("Django sessions, db", "sessions", clients.DjangoSession),
    Peer("Django sessions, cached_db", "sessions_cached", clients.DjangoSession),
    Peer("Better Auth", "database", clients.BetterAuth, platform=NODE),
    Peer("Better Auth, cookie cache", "cookie_cache", clients.BetterAuthCached, refreshes=True, platform=NODE),
    Peer("Glewlwyd", "oidc", clients.Glewlwyd, refreshes=True, rotates=True, platform=GLEWLWYD),
)


def bare_of(peer: Peer) -> Peer:
    """Return what answers without authentication on the peer's platform."""
    [found] = (bare for bare in BARES if bare.platform is peer.platform)
    return found


def missing(peers: Iterable[Peer]) -> str:
    """Return an error that names what these peers need and what is not installed; the empty string if there is all."""
    absent = sorted({peer.platform.missing for peer in peers} - {""})
    return f"Some peers need what is not installed: {'; '.join(absent)}. Or choose others." if absent else ""
