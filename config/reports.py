"""Error reports without secrets, as Django mails them to ``ADMINS``.

Django's own reports hide only values whose names look like passwords. They show all cookies, the query of a link in a
mail, the fields of forms, and in HTML the local variables. These reports show the names without the values. With DEBUG,
when only the developer sees the page, they hide only the cookies.
"""

import re
from typing import Any

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter


class ReportFilter(SafeExceptionReporterFilter):
    """Hides the values of cookies, form fields and local variables. DEFAULT_EXCEPTION_REPORTER_FILTER."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|QUERY_STRING|REFERER|CSRF_COOKIE$", re.I
    )

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        return dict.fromkeys(super().get_safe_cookies(request), self.cleansed_substitute)

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        shown = super().get_post_parameters(request)
        return dict.fromkeys(shown, self.cleansed_substitute) if self.is_active(request) else shown

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        shown = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, self.cleansed_substitute) for name, _ in shown] if self.is_active(request) else shown


class Reporter(ExceptionReporter):
    """Hides the values in the query of the URL. DEFAULT_EXCEPTION_REPORTER."""

    def get_traceback_data(self) -> dict[str, Any]:
        data = super().get_traceback_data()
        if self.request is not None and self.filter.is_active(self.request):
            data["request_GET_items"] = [(name, self.filter.cleansed_substitute) for name in self.request.GET]
            data["request_insecure_uri"] = self.request.path
        return data
