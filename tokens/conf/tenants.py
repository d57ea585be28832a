"""The tenant that the running code works for, if one deployment serves several (settings TENANT_HOOK, TENANT_KEYS).

A tenant is a name, such as that of its schema in PostgreSQL. It is empty if there is none. Everything that belongs to
one tenant only is found by it: keys, verified tokens, the revocation feed, acknowledgements and throttles. Each request
enters its own tenant (`tokens.web.tenants`). Code that has entered none works for no tenant, and accepts no token of
one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from tokens.conf import signing_keys
from tokens.protocol.signing_keys import SigningKey, UnusableKey

KEPT = 1024
"""For how many tenants a process keeps keys and a feed. It forgets the one that was used least recently."""
LONGEST = 200
"""Characters of a tenant's name. It is in each access token."""

_current: ContextVar[str] = ContextVar("tenant", default="")
current = _current.get
"""Return the name of the tenant. Nearly all requests call this several times, so it is no function of Python."""


enter, leave = _current.set, _current.reset
"""Begin to work for a tenant, and stop with what `enter` has returned. `entered` does both."""


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Work for this tenant in the block, with its keys, as a request of it does. Empty: for no tenant.

    It selects no schema and no database.
    """
    before = enter(name)
    try:
        yield
    finally:
        leave(before)


def name_of(answer: Any) -> str:
    """Return the name of the tenant that TENANT_HOOK has answered. Raise `ImproperlyConfigured`."""
    if answer is None:
        return ""
    if not isinstance(answer, str):
        raise ImproperlyConfigured(f"TENANT_HOOK must return a string or None, and not {type(answer).__name__}.")
    if len(answer) > LONGEST:
        raise ImproperlyConfigured(f"TENANT_HOOK has returned a name of more than {LONGEST} characters.")
    return answer


def keys_of(name: str, sources: Any) -> tuple[SigningKey | None, ...]:
    """Return the keys that TENANT_KEYS has answered, written as in SIGNING_KEYS. Raise `ImproperlyConfigured`.

    None stands for the keys derived from Django's secret. An error names a key by its place.
    """
    found: list[SigningKey | None] = []
    for place, source in enumerate(sources, start=1):
        try:
            found.append(None if source == signing_keys.DERIVED else signing_keys.load(source))
        except UnusableKey as error:
            raise ImproperlyConfigured(f"TENANT_KEYS: key {place} of {name!r}: {error.flaw.value}.") from None
    return tuple(found)
