"""The old path of `tokens.monitoring`. It works until the next release."""

import warnings

from tokens.monitoring import middleware

__all__ = ["middleware"]

warnings.warn("tokens.operators has moved to tokens.monitoring.", DeprecationWarning, stacklevel=2)
