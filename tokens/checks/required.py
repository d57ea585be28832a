"""Checks of REQUIRED_FACTORS: that users can do what it asks for, and that no other way leads round it."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from tokens.checks.settings import takes, wrong_hook
from tokens.conf import NOBODY, is_given, read
from tokens.conf.hooks import REQUIRING
from tokens.web.factors import Factor, may_be_strong
from tokens.web.operations.refusals import PAGE

BASIC = "BasicAuthentication"


@register(Tags.security)
def check_required_factors(**kwargs: Any) -> list[CheckMessage]:
    """Check that REQUIRED_FACTORS can be read, and that what it asks for can be proved and set up."""
    required = read()[0].required_factors
    if required == NOBODY:
        return []
    if required not in REQUIRING:
        if error := wrong_hook(required):
            hint = f"Write one of {', '.join(REQUIRING)}, or the dotted path of a function: package.module.name"
            return [Error(f"REQUIRED_FACTORS: {error}.", hint=hint, id="tokens.E013")]
        if not takes(import_string(required), "user"):
            hint = "Write it as def needs_factor(user), and let it return true or false."
            what = f"{required} does not take one argument"
            return [Error(f"REQUIRED_FACTORS: {what}.", hint=hint, id="tokens.E067")]
    return [*_setting_up(), *_page(), *_passwords_alone()]


def _setting_up() -> Iterator[CheckMessage]:
    """Yield what is wrong if nobody can prove a factor, or nobody who has none can set one up."""
    factors = [*_factors()]
    if not any(map(may_be_strong, factors)):
        hint = "Add factors.totp.TotpFactor and factors.enrolment.TotpEnrolment to FACTORS (docs/how-to/factors.md)."
        what = "nobody can do what it asks for, because FACTORS has nothing but what users know"
        yield Error(f"REQUIRED_FACTORS: {what}.", hint=hint, id="tokens.E068")
    elif not any(factor.is_enrolment for factor in factors):
        hint = "Add factors.enrolment.TotpEnrolment to FACTORS, or silence this check if there is another way."
        what = "users without a factor cannot sign in, because FACTORS has nothing by which they set one up"
        yield Warning(f"REQUIRED_FACTORS: {what}.", hint=hint, id="tokens.W060")


def _factors() -> Iterator[type[Factor]]:
    for path in read()[0].factors:
        with suppress(ImportError):  # `check_factors` says so.
            if inspect.isclass(found := import_string(path)) and issubclass(found, Factor):
                yield found


def _page() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None) or _is_there(PAGE):
        return
    hint = f"Include accounts.urls, or name a page of your own {PAGE!r} (docs/how-to/sign-in-policy.md)."
    what = "no page asks for a factor, so that nobody of whom one is required can sign in to the admin"
    yield Warning(f"REQUIRED_FACTORS: {what}.", hint=hint, id="tokens.W061")


def _passwords_alone() -> Iterator[CheckMessage]:
    """Yield a warning if REST framework takes a password with each request, as it does by default."""
    if not apps.is_installed("rest_framework"):
        return
    from rest_framework.settings import api_settings  # A project may have no REST framework.

    classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    if any(BASIC in (base.__name__ for base in found.__mro__) for found in classes):
        hint = "Set DEFAULT_AUTHENTICATION_CLASSES without it. Users of whom a factor is required get 401 there."
        what = f"REST framework's {BASIC} takes a password with each request, beside which nobody can prove a factor"
        yield Warning(f"{what}.", hint=hint, id="tokens.W062")


@register(Tags.security, deploy=True)
def check_staff(**kwargs: Any) -> list[CheckMessage]:
    """Advise to require a factor of the staff, where users can set one up and nobody has decided."""
    if is_given("REQUIRED_FACTORS") or not any(map(may_be_strong, _factors())):
        return []
    hint = 'Set REQUIRED_FACTORS to "staff", and add factors.enrolment.TotpEnrolment to FACTORS. Or set it to "nobody".'
    return [Warning("A password is enough for the admin.", hint=hint, id="tokens.W059")]


def _is_there(name: str) -> bool:
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False
