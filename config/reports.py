"""Error reports, as Django mails them to ``ADMINS``: what went wrong and where, and nothing that signs somebody in.

Django's own hide a password by its name, and show the rest: every cookie, the query of a link from a mail, what was
typed into a form that nobody marked, and the variables on the way, for whoever asks for reports in HTML. Ours keep the
names and leave out the values. With DEBUG the page is shown to the developer alone, and hides the cookies only.
"""

import re
from typing import Any

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter


class ReportFilter(SafeExceptionReporterFilter):
    hidden_settings = re.compile(f"{SafeExceptionReporterFilter.hidden_settings.pattern}|QUERY_STRING|REFERER", re.I)

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        return dict.fromkeys(super().get_safe_cookies(request), self.cleansed_substitute)

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        shown = super().get_post_parameters(request)
        return dict.fromkeys(shown, self.cleansed_substitute) if self.is_active(request) else shown

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        shown = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, self.cleansed_substitute) for name, _ in shown] if self.is_active(request) else shown


class Reporter(ExceptionReporter):
    def get_traceback_data(self) -> dict[str, Any]:
        data = super().get_traceback_data()
        if self.request is not None and self.filter.is_active(self.request):
            data["request_GET_items"] = [(name, self.filter.cleansed_substitute) for name in self.request.GET]
            data["request_insecure_uri"] = self.request.path
        return data
