"""The pages of the mailbox, for development: what was sent, and each mail as text and as the HTML that people see.

The HTML is another document, in a frame without rights: no script, nothing fetched, and for a style the mail's own
block alone, which the Content-Security-Policy names by its digest. Its links open in a tab of their own.
"""

import re
from base64 import b64encode
from hashlib import sha256

from csp.decorators import csp_update
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from config.demo import mailbox

RIGHTS = "allow-popups allow-popups-to-escape-sandbox"
"""Of the frame: to open a link, as a page like any other."""


@require_safe
@never_cache
def show_mailbox(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/mailbox.html", {"mails": mailbox.newest_first(), "kept": mailbox.KEPT})


@require_safe
@never_cache
@csp_update({"frame-src": ["'self'"]})  # type: ignore[arg-type]  # It takes views with arguments too.
def show_mail(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "demo/mailbox_mail.html", {"mail": _found(number), "rights": RIGHTS})


@require_safe
@never_cache
@xframe_options_sameorigin
def show_html(request: HttpRequest, number: int) -> HttpResponse:
    html = _found(number).html
    response = HttpResponse(html)
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {_digest_of_style(html)}; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'self'; sandbox {RIGHTS}"
    )
    return response


def _found(number: int) -> mailbox.Mail:
    mail = mailbox.find(number)
    if mail is None:
        raise Http404
    return mail


def _digest_of_style(html: str) -> str:
    """Return the source expression of the one style block (CSP Level 3, section 2.3.1)."""
    block = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(block[1].encode()).digest()).decode()}'" if block else "'none'"
