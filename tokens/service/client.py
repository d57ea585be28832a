"""Who sent a request: address, browser or app, and the token of the device. `tokens.web.http.client` fills it in."""

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

MAX_USER_AGENT = 300
"""Characters of a User-Agent that are stored."""


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request. ``ip`` is an address or None. ``device_token`` identifies a known device, or is None.

    ``is_device_doubtful``: whether the device token came in a cookie of the older name, which a script can plant,
    although such cookies are no longer written. ``late_session``: the session of a request that took long to arrive,
    and had a valid access token of the session when it began, or None. ``under_way``: how long a request took that
    took long to arrive, else zero. ``may_hold_newer``: whether the client may hold a newer refresh token than the one
    that it presents, because it does not send all that it has.
    """

    ip: str | None = None
    user_agent: str = ""
    device_token: str | None = field(default=None, repr=False)
    is_device_doubtful: bool = False
    late_session: UUID | None = None
    under_way: timedelta = timedelta()
    may_hold_newer: bool = False

    @property
    def user_agent_digest(self) -> bytes:
        """The first eight bytes of the SHA-256 digest of the User-Agent: enough to tell two apart."""
        return sha256(self.user_agent.encode("utf-8", "replace")).digest()[:8]

    @property
    def printable_user_agent(self) -> str:
        """The User-Agent as it is stored: printable characters only, at most `MAX_USER_AGENT`."""
        return "".join(c for c in self.user_agent if c.isprintable())[:MAX_USER_AGENT]

    def is_elsewhere(self, ip: str | None, user_agent_digest: bytes) -> bool:
        """Return whether this client is in another network, or has another User-Agent, than the given ones."""
        return network(self.ip) != network(ip) or self.user_agent_digest != user_agent_digest


def network(ip: str | None) -> str | None:
    """Return the network of an address: 24 bits of IPv4, 48 of IPv6. Home and mobile addresses change within it."""
    found = networks(ip)
    return found[-1] if found else None


def networks(ip: str | None) -> tuple[str, ...]:
    """Return the networks in which an address is counted, the smallest first: 24 bits of IPv4, 64 and 48 of IPv6.

    A home has at least one network of 64 bits. A site has up to 48 bits, and can send from each of its 65,536 networks.
    """
    if ip is None:
        return ()
    address = ipaddress.ip_address(ip)
    lengths = (24,) if address.version == 4 else (64, 48)
    return tuple(str(ipaddress.ip_network(f"{address}/{length}", strict=False)) for length in lengths)
