"""Requests as this project reads them: Django's, but for two headers.

Of ``Cookie`` there is nothing whose name is not printable ASCII. Django takes off a name's ends whatever Unicode calls
white space, so that ``\\u2000__Host-csrf`` is read as ``__Host-csrf``; a browser holds no cookie to a prefix that does
not begin the name as it is written, and lets a sibling host set that one for us.

A ``Content-Type`` that cannot be read counts as none. Django parses it while it makes the request, before anything is
there that turns an error into an answer: an unknown encoding (``charset*=bogus''x``), a NUL, or a charset that is no
text's (``base64``) would be a 500.
"""

from typing import Any

from django.core import exceptions
from django.core.handlers import asgi, wsgi


class _Read:
    META: dict[str, Any]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        if cookies := self.META.get("HTTP_COOKIE"):
            self.META["HTTP_COOKIE"] = _plainly_named(cookies)  # Here `COOKIES` finds it, when it is first asked for.

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (ValueError, LookupError, exceptions.SuspiciousOperation, exceptions.BadRequest):
            self._encoding = None
            meta["CONTENT_TYPE"] = ""  # Gone for those too who parse it again: Django REST framework does.
            super()._set_content_type_params(meta)  # type: ignore[misc]


class WSGIRequest(_Read, wsgi.WSGIRequest):
    pass


class ASGIRequest(_Read, asgi.ASGIRequest):
    pass


def _plainly_named(header: str) -> str:
    """Return the header without the cookies whose names are anything but printable ASCII."""
    if _is_plain(header):
        return header
    return ";".join(chunk for chunk in header.split(";") if _is_plain(chunk.partition("=")[0].strip(" \t")))


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
