"""Who asks: the address, the browser or app, and the device's own token, taken from a request by the edge."""

import ipaddress
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from django.core.validators import RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MAX_USER_AGENT = 300
MAX_NAME = 100

# Names are printed on operators' terminals too, where an escape sequence is an order.
without_control_characters = RegexValidator(r"^[^\x00-\x1f\x7f-\x9f]*\Z", gettext_lazy("Leave out control characters."))


@dataclass(frozen=True, slots=True)
class Client:
    """One requester. ``ip``: an address or None; ``device_token``: what it presents to be recognised, or None."""

    ip: str | None = None
    user_agent: str = ""
    device_token: str | None = field(default=None, repr=False)

    @property
    def user_agent_digest(self) -> bytes:
        """Eight bytes: enough to tell two User-Agents apart."""
        return sha256(self.user_agent.encode("utf-8", "replace")).digest()[:8]

    @property
    def printable_user_agent(self) -> str:
        """The User-Agent as a row may keep it: printable, bounded."""
        return "".join(c for c in self.user_agent if c.isprintable())[:MAX_USER_AGENT]

    @property
    def device_name(self) -> str:
        """A name that its owner recognises, in the language of the sign-in: “Firefox on Windows”, or “curl”."""
        if not self.user_agent:
            return _("Unknown device")
        from ua_parser import parse  # Its rules take a while, and a sign-in alone needs them.

        parsed = parse(self.printable_user_agent)
        browser = parsed.user_agent.family if parsed.user_agent else self.printable_user_agent.partition("/")[0]
        system = parsed.os.family if parsed.os else ""
        both = {"browser": browser, "system": system}
        name = _("%(browser)s on %(system)s") % both if all(both.values()) else browser or system
        return name.strip()[:MAX_NAME] or _("Unknown device")

    def is_elsewhere(self, ip: str | None, user_agent_digest: bytes) -> bool:
        """Whether this is another network or User-Agent than the given ones."""
        return network(self.ip) != network(ip) or self.user_agent_digest != user_agent_digest


def network(ip: str | None) -> str | None:
    """The network of an address: 24 bits of IPv4, 48 of IPv6. Home and mobile addresses move within them."""
    if ip is None:
        return None
    address = ipaddress.ip_address(ip)
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def new_device_token() -> str:
    """Return a token of 256 bits for a device that has none."""
    return secrets.token_urlsafe(32)


def digest_of_device_token(token: str) -> bytes:
    """The SHA-256 digest of a device token, 32 bytes: what the row holds."""
    return sha256(token.encode("utf-8", "replace")).digest()
