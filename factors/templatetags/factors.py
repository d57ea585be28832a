"""Filters for the pages of an authenticator app: ``{% load factors %}``."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from factors import codes

register = template.Library()


@register.filter
def qr_code(text: str) -> SafeString:
    """Return a QR code as SVG."""
    return mark_safe(codes.qr_code(text))  # noqa: S308 (segno has made it)


@register.filter
def in_groups(text: str) -> str:
    """Return a secret in groups of characters, so that a person can copy it."""
    return codes.in_groups(text)
