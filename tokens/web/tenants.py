"""Which tenant a request is for: the setting TENANT_HOOK says it, once for each request."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import Token
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from tokens.conf import keyring, tenants, token_settings

current, leave, enter_tenant = tenants.current, tenants.leave, tenants.entered
_ATTRIBUTE = "_tokens_tenant"


def of(request: Any) -> str:
    """Return the name of the request's tenant. Empty: it has none."""
    hook = token_settings().tenant_of
    if hook is None:
        return ""
    name: str | None = getattr(request, _ATTRIBUTE, None)
    if name is None:
        name = tenants.name_of(hook(request))
        setattr(request, _ATTRIBUTE, name)
    return name


def encryption_keys() -> Mapping[bytes, bytes]:
    """Return the keys of 32 bytes for secrets in rows of other apps, by names of four bytes. They are the tenant's.

    The first encrypts, and all decrypt. They are derived from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``. Bind what
    is encrypted to its table and row by additional data (AEAD), because all apps have the same keys.
    """
    return keyring().encryption_keys


def enter(request: Any) -> Token[str]:
    """Work for the tenant of this request until `leave` is called with what this returns.

    The hook is asked again. A middleware outside of ours may have signed somebody in before the tenant was known.
    """
    request.__dict__.pop(_ATTRIBUTE, None)
    return tenants.enter(of(request))


@contextmanager
def entered(request: Any) -> Iterator[None]:
    """Work for the tenant of this request in the block.

    Without a request, go on with the tenant that was entered. The same holds for a request that was never sent, as
    Django's test client makes to sign somebody in.
    """
    if "SERVER_NAME" not in getattr(request, "META", ()) or token_settings().tenant_of is None:
        yield
        return
    with tenants.entered(of(request)):
        yield


def require_context() -> None:
    """Raise `ImproperlyConfigured` if `selected` cannot select anything."""
    if token_settings().tenant_of is not None and token_settings().context_of_tenant is None:
        raise ImproperlyConfigured("Web sockets of tenants need the setting TENANT_CONTEXT.")


@contextmanager
def selected(name: str) -> Iterator[None]:
    """Work for this tenant in the block, and let queries go to it, where no middleware of the project has done so."""
    context = token_settings().context_of_tenant
    with tenants.entered(name), context(name) if context and name else nullcontext():
        yield
