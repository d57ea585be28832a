"""The old path of `config.postgresql.deadline`. It works until the next release."""

import warnings

from config.postgresql.deadline import middleware

__all__ = ["middleware"]

warnings.warn("config.deadlines has moved to config.postgresql.deadline.", DeprecationWarning, stacklevel=2)
