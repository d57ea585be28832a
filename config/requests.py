"""Requests whose ``Content-Type`` cannot be read count as having none.

Django parses that header while it makes the request, before anything is there that turns an error into an answer: an
unknown encoding (``charset*=bogus''x``), a NUL, or a charset that is no text's (``base64``) would be a 500.
"""

from typing import Any

from django.core import exceptions
from django.core.handlers import asgi, wsgi


class _Tolerant:
    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (ValueError, LookupError, exceptions.SuspiciousOperation, exceptions.BadRequest):
            self._encoding = None
            meta["CONTENT_TYPE"] = ""  # Gone for those too who parse it again: Django REST framework does.
            super()._set_content_type_params(meta)  # type: ignore[misc]


class WSGIRequest(_Tolerant, wsgi.WSGIRequest):
    pass


class ASGIRequest(_Tolerant, asgi.ASGIRequest):
    pass
