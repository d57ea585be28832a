"""Request classes that read two headers more strictly than Django's.

Cookies whose names are not printable ASCII are ignored. Django strips Unicode white space from names, so that
``\\u2000__Host-csrf`` is read as ``__Host-csrf``. Browsers do not apply the rules of the prefix to such a name, so a
sibling host could set it.

A ``Content-Type`` that cannot be parsed counts as missing. Django parses it while it creates the request, before an
error handler can answer. An unknown encoding (``charset*=bogus''x``), a NUL, or a charset that is not one of text
(``base64``) would be answered 500.
"""

from typing import Any

from django.core import exceptions
from django.core.handlers import asgi, wsgi


class _Read:
    META: dict[str, Any]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        if cookies := self.META.get("HTTP_COOKIE"):
            self.META["HTTP_COOKIE"] = _plainly_named(cookies)  # `COOKIES` is parsed from it when it is first used.

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (ValueError, LookupError, exceptions.SuspiciousOperation, exceptions.BadRequest):
            self._encoding = None
            meta["CONTENT_TYPE"] = ""  # REST framework parses it again.
            super()._set_content_type_params(meta)  # type: ignore[misc]


class WSGIRequest(_Read, wsgi.WSGIRequest):
    pass


class ASGIRequest(_Read, asgi.ASGIRequest):
    pass


def _plainly_named(header: str) -> str:
    """Return the header without the cookies whose names are not printable ASCII."""
    if _is_plain(header):
        return header
    return ";".join(chunk for chunk in header.split(";") if _is_plain(chunk.partition("=")[0].strip(" \t")))


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
