"""The old path of `tokens.web.reports`. It works until the next release."""

import warnings

from tokens.web.reports import AdminMail, ErrorLine, Reporter, ReportFilter

__all__ = ["AdminMail", "ErrorLine", "ReportFilter", "Reporter"]

warnings.warn("config.reports has moved to tokens.web.reports.", DeprecationWarning, stacklevel=2)
