from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.urls import URLResolver, get_resolver

from tokens.models import RefreshToken
from tokens.web.operations import taking_over

OURS = "tokens.api.authentication.TokenAuthentication"
REFUSING = {
    "rest_framework_simplejwt.authentication.JWTAuthentication",
    "allauth.headless.contrib.rest_framework.authentication.JWTTokenAuthentication",
}
"""Classes that refuse a Bearer token of ours, so that REST framework does not ask the classes after them. The class of
dj-rest-auth inherits from that of simplejwt."""
KNOX = "knox.auth.TokenAuthentication"
"""It leaves Bearer tokens to the other classes of the view."""


@register(Tags.security)
def check_modes(**kwargs: Any) -> list[CheckMessage]:
    """Check that the storage mode of clients without cookies is served, because such clients come over."""
    if RefreshToken.Mode.BODY in taking_over.modes():
        return []
    hint = 'Add "body" to TOKENS["MODES"], unless all clients are browsers, which get cookies.'
    what = "Clients of the old package that keep their tokens themselves cannot come over"
    return [Warning(f"{what}: MODES lacks the mode body.", hint=hint, id="tokens.W048")]


@register(Tags.security)
def check_views(**kwargs: Any) -> list[CheckMessage]:
    """Check that each view of REST framework that takes tokens of the old package takes ours too."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    views = {_name(view) for view in _views(get_resolver().url_patterns) if _refuses_ours(view)}
    if not views:
        return []
    hint = f"Put {OURS} first in the view's authentication classes, or in DEFAULT_AUTHENTICATION_CLASSES."
    what = "These views take tokens of the old package, and refuse ours"
    return [Warning(f"{what}: {', '.join(sorted(views))}.", hint=hint, id="tokens.W063")]


def _views(patterns: Iterable[Any]) -> Iterator[Any]:
    """Yield the views of REST framework. A function that `as_view` or `api_view` has made has its class as ``cls``."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns)
        elif hasattr(getattr(pattern.callback, "cls", None), "authentication_classes"):
            yield pattern.callback


def _name(view: Any) -> str:
    return f"{view.cls.__module__}.{view.cls.__name__}"


def _refuses_ours(view: Any) -> bool:
    classes = getattr(view, "initkwargs", {}).get("authentication_classes", view.cls.authentication_classes)
    is_of_knox = False
    for found in classes:
        bases = {f"{base.__module__}.{base.__qualname__}" for base in found.__mro__}
        if OURS in bases:
            return False
        if not bases.isdisjoint(REFUSING):
            return True
        is_of_knox = is_of_knox or KNOX in bases
    return is_of_knox and view.cls.__module__ != "knox.views"  # knox's own sign-out takes only tokens of knox.
