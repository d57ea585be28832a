"""The old path of `tokens.web.requests`. It works until the next release."""

import warnings

from tokens.web.requests import ASGIRequest, WSGIRequest

__all__ = ["ASGIRequest", "WSGIRequest"]

warnings.warn("config.requests has moved to tokens.web.requests.", DeprecationWarning, stacklevel=2)
