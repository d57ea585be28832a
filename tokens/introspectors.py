"""Introspectors: the services that may ask whether an access token is good (RFC 7662 section 2.1).

Each is an entry of INTROSPECTION_CLIENTS, ``<client id>:<SHA-256 of its secret, in hex>``. Fast hashing will do, for
the secret is 256 random bits, as a device's token is, and nothing that a person made up. An id may stand there with
two secrets, while one takes the other's place.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from tokens.mistakes import Mistake

_ENTRY = re.compile(r"(?P<id>[!-9;-~]+):(?P<digest>[0-9a-f]{64})")
"""An id is printable, and has no colon: it ends there in HTTP Basic authentication (RFC 7617 section 2)."""


@dataclass(frozen=True, slots=True)
class Introspector:
    """A service: its id, and the SHA-256 digest of its secret, 32 bytes."""

    id: str
    digest: bytes = field(repr=False)


def read(entries: Sequence[str]) -> tuple[tuple[Introspector, ...], list[Mistake]]:
    """Return the services of INTROSPECTION_CLIENTS, and what is wrong with it. A wrong entry may hold a secret."""
    matches = [_ENTRY.fullmatch(entry) for entry in entries]
    hint = "client-id:digest, the digest being the SHA-256 of its secret as 64 hexadecimal digits in small letters."
    mistakes = [
        Mistake("E026", f"INTROSPECTION_CLIENTS: entry {place} cannot be read.", hint)
        for place, match in enumerate(matches, start=1)
        if match is None
    ]
    return tuple(Introspector(match["id"], bytes.fromhex(match["digest"])) for match in matches if match), mistakes


def is_known(introspectors: Iterable[Introspector], id: str, secret: str) -> bool:
    """Whether one of them has this id and this secret. How long it takes says nothing of either."""
    given_id, given = id.encode("utf-8", "replace"), sha256(secret.encode("utf-8", "replace")).digest()
    known = False
    for one in introspectors:
        known |= compare_digest(one.id.encode(), given_id) & compare_digest(one.digest, given)
    return known
