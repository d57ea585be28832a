"""The old path of `tokens.web.cors`. It works until the next release."""

import warnings

from tokens.web.cors import CorsMiddleware

__all__ = ["CorsMiddleware"]

warnings.warn("tokens.cors has moved to tokens.web.cors.", DeprecationWarning, stacklevel=2)
