"""Which origins are on another site than the relying party, so that browsers have to be told about them.

A site is a registrable domain: ``example.org`` and ``shop.example.org`` are one, and two customers of one host, such as
``a.github.io`` and ``b.github.io``, are two. The list of public suffixes comes with `fido2`.
"""

from typing import Any
from urllib.parse import urlsplit

from fido2.rpid import verify_rp_id


def related(party: Any) -> list[str]:
    """Return the trusted origins that are on another site, over https, for ``/.well-known/webauthn``."""
    own = _site(f"https://{party.id}")
    return [origin for origin in party.origins[1:] if origin.startswith("https://") and _site(origin) != own]


def _site(origin: str) -> str:
    """Return the registrable domain of an origin, or its host if it has none, such as an address."""
    host = urlsplit(origin).hostname or ""
    labels = host.split(".")
    if ":" in host or labels[-1].isdigit():
        return host
    shorter = (".".join(labels[place:]) for place in range(len(labels) - 2, 0, -1))
    return next((domain for domain in shorter if verify_rp_id(domain, origin)), host)
