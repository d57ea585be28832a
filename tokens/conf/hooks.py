"""Functions and classes of the project that settings name by dotted paths. They are imported when first used."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

NOBODY, STAFF, EVERYBODY = REQUIRING = "nobody", "staff", "everybody"
"""The values of REQUIRED_FACTORS that are no dotted paths."""


def _is_staff(user: Any) -> bool:
    return bool(getattr(user, "is_staff", False))


def _is_anybody(user: Any) -> bool:
    return True


class Hooks:
    """The settings that name Python objects, which are imported by their dotted paths.

    The fields are those of `tokens.conf.settings.TokenSettings`.
    """

    if TYPE_CHECKING:

        @property
        def claims_hook(self) -> str: ...
        @property
        def factors(self) -> tuple[str, ...]: ...
        @property
        def required_factors(self) -> str: ...
        @property
        def sign_in_policy(self) -> str: ...
        @property
        def tenant_context(self) -> str: ...
        @property
        def tenant_hook(self) -> str: ...
        @property
        def tenant_keys(self) -> str: ...

    @cached_property
    def asks_before_sign_in(self) -> Callable[[Any, Any, Any], Any] | None:
        return import_string(self.sign_in_policy) if self.sign_in_policy else None

    @cached_property
    def requires_factor(self) -> Callable[[Any], Any] | None:
        """The function that says whether a user needs a factor besides what they know. None: nobody does."""
        named = {NOBODY: None, STAFF: _is_staff, EVERYBODY: _is_anybody}
        return named[self.required_factors] if self.required_factors in named else import_string(self.required_factors)

    @cached_property
    def restricts_sign_ins(self) -> bool:
        """Whether SIGN_IN_POLICY or REQUIRED_FACTORS can refuse a user who has authenticated."""
        return self.asks_before_sign_in is not None or self.requires_factor is not None

    @cached_property
    def known_factors(self) -> tuple[Any, ...]:
        """The objects of `factors` (`tokens.web.factors.Factor`)."""
        return tuple(import_string(path)() for path in self.factors)

    @cached_property
    def claims(self) -> Callable[[Any, Any], Mapping[str, Any]] | None:
        return import_string(self.claims_hook) if self.claims_hook else None

    @cached_property
    def tenant_of(self) -> Callable[[Any], str | None] | None:
        """The function that names the tenant of a request, or None if there are no tenants."""
        return import_string(self.tenant_hook) if self.tenant_hook else None

    @cached_property
    def keys_of_tenant(self) -> Callable[[str], Iterable[str] | None] | None:
        return import_string(self.tenant_keys) if self.tenant_keys else None

    @cached_property
    def context_of_tenant(self) -> Callable[[str], AbstractContextManager[Any]] | None:
        return import_string(self.tenant_context) if self.tenant_context else None
