"""The old path of `config.demo.mailbox`. It works until the next release."""

import warnings

from config.demo.mailbox import EmailBackend

__all__ = ["EmailBackend"]

warnings.warn("config.mailbox has moved to config.demo.mailbox.", DeprecationWarning, stacklevel=2)
