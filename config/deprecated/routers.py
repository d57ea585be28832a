"""The old path of `config.postgresql.routers`. It works until the next release."""

import warnings

from config.postgresql.routers import ReplicaRouter

__all__ = ["ReplicaRouter"]

warnings.warn("config.routers has moved to config.postgresql.routers.", DeprecationWarning, stacklevel=2)
