"""The pages of the mailbox: the list of mails, and each mail as text and as HTML.

The HTML is shown in a sandboxed frame. Its Content-Security-Policy allows no scripts and no requests, and only the
style block of the mail, by its digest. Links open in a new tab.
"""

import re
from base64 import b64encode
from hashlib import sha256

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from config import csp
from config.demo import mailbox

RIGHTS = "allow-popups allow-popups-to-escape-sandbox"
"""The permissions of the frame: its links may open in a new tab without the sandbox."""


@require_safe
@never_cache
def show_mailbox(request: HttpRequest) -> HttpResponse:
    """List the mails that this process has caught."""
    return render(request, "demo/mailbox.html", {"mails": mailbox.newest_first(), "kept": mailbox.KEPT})


@require_safe
@never_cache
def show_mail(request: HttpRequest, number: int) -> HttpResponse:
    """Show one mail as text, and its HTML in a frame."""
    response = render(request, "demo/mailbox_mail.html", {"mail": _found(number), "rights": RIGHTS})
    response[csp.HEADER] = csp.policy(frame_src="'self'")
    return response


@require_safe
@never_cache
@xframe_options_sameorigin
def show_html(request: HttpRequest, number: int) -> HttpResponse:
    """Answer with the HTML of a mail, in a sandbox without scripts."""
    html = _found(number).html
    response = HttpResponse(html)
    response[csp.HEADER] = (
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
    """Return the source expression of the style block (CSP Level 3, section 2.3.1)."""
    block = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(block[1].encode()).digest()).decode()}'" if block else "'none'"
