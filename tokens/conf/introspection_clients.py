"""The setting INTROSPECTION_CLIENTS: services that may ask whether an access token is valid (RFC 7662 section 2.1).

Each entry is ``<client id>:<SHA-256 of its secret, in hex>``. A fast hash is enough: the secret is 256 random bits, and
not a password that a person chose. To change a secret, list the same id twice, with the old digest and the new one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from django.core.checks import CheckMessage, Error

_ENTRY = re.compile(r"(?P<id>[!-9;-~]+):(?P<digest>[0-9a-f]{64})")
"""An id is printable ASCII without a colon. In HTTP Basic authentication a colon ends it (RFC 7617 section 2)."""


@dataclass(frozen=True, slots=True)
class IntrospectionClient:
    """A service: its id, and the SHA-256 digest of its secret, 32 bytes."""

    id: str
    digest: bytes = field(repr=False)


def read(entries: Sequence[str]) -> tuple[tuple[IntrospectionClient, ...], list[CheckMessage]]:
    """Return the services of INTROSPECTION_CLIENTS, and an error for each wrong entry.

    An error does not contain the entry, because that may be a secret.
    """
    matches = [_ENTRY.fullmatch(entry) for entry in entries]
    hint = "Write client-id:digest. The digest is the SHA-256 of the secret, as 64 hexadecimal digits in lower case."
    messages: list[CheckMessage] = [
        Error(f"INTROSPECTION_CLIENTS: entry {place} cannot be read.", hint=hint, id="tokens.E026")
        for place, match in enumerate(matches, start=1)
        if match is None
    ]
    clients = (IntrospectionClient(match["id"], bytes.fromhex(match["digest"])) for match in matches if match)
    return tuple(clients), messages


def is_known(clients: Iterable[IntrospectionClient], id: str, secret: str) -> bool:
    """Return whether one of the clients has this id and this secret. The time that it takes depends on neither."""
    given_id, given = id.encode("utf-8", "replace"), sha256(secret.encode("utf-8", "replace")).digest()
    known = False
    for client in clients:
        known |= compare_digest(client.id.encode(), given_id) & compare_digest(client.digest, given)
    return known
