"""Several cookies with the same name: which of them counts.

A browser sends two if they have different paths or domains, and one of them may have been planted. Two sites with
Latchkey on one host can also cause it. The only cookie that is genuine counts. If there are several, and they name
different sessions (or devices), none counts, and none is deleted. If they name the same session, the latest counts: a
server in between that has refreshed may send the old cookie and the new one, and a client that holds both would present
the new one.

That an access or refresh token is genuine is seen without a query, by its signature. It says nothing about whether the
token is still accepted. Otherwise an attacker could plant a session of their own that counts as soon as the user's has
expired. Device tokens take one query.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from uuid import UUID

from django.core.exceptions import SynchronousOnlyOperation
from django.db import InterfaceError, OperationalError

from tokens.conf import codec
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.service import devices, possession

MOST = 8
"""Of more cookies with the same name none counts, so that a request does not verify any number of them."""


def access_token(texts: Sequence[str]) -> str | None:
    """Return which of several access tokens counts, or None. An expired one is genuine too."""
    return _only(texts, _named_by_access)


def refresh_token(texts: Sequence[str], *, old_name: bool) -> str | None:
    """Return which of several refresh tokens counts, or None. ``old_name``: whether their cookie has the older name."""
    return _only(texts, partial(possession.named_by, old_name=old_name))


def device_token(texts: Sequence[str]) -> str | None:
    """Return which of several device tokens counts, or None: the only one that belongs to a device."""
    if len(texts) > MOST:
        return None
    if len(set(texts)) == 1:
        return texts[0]
    try:
        known = devices.known_tokens(texts)
    except (OperationalError, InterfaceError, SynchronousOnlyOperation):
        return None  # The device is then not recognised.
    return known[0] if len(known) == 1 else None


def _named_by_access(text: str) -> tuple[UUID, int] | None:
    try:
        token = codec().loads_expired(text)
    except InvalidAccessToken:
        return None
    return token.session_id, token.issued_at


def _only(texts: Sequence[str], read: Callable[[str], tuple[Hashable, int] | None]) -> str | None:
    """Return the latest text if all that are genuine name the same.

    ``read`` returns what a text names, and its place in the order of the texts that name it. None: it is not genuine.
    """
    if len(texts) > MOST:
        return None
    found = {text: named for text in texts if (named := read(text)) is not None}
    if len({what for what, _ in found.values()}) != 1:
        return None
    return max(found, key=lambda text: found[text][1])
