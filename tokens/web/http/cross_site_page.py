"""The page for a browser that another site sends to a page of ours, while its session has to be refreshed.

The other site can stop each navigation that it starts, and so lose its response. If such a navigation rotated, the
session of a user who is idle would end after some of them (`tokens.protocol.rotation`, EXHAUSTED). So it gets this page
instead, whatever its refresh token is worth. The page's script refreshes by a request of our own origin with
``keepalive``, whose response is kept even if the tab is gone. Then it goes on to the same URL. Without scripts, or if
the refresh was not answered, the user follows a link. Both are requests of our own origin, and are served as usual, so
that there is no loop.

A project can have a template ``tokens/crossing.html`` of its own. It has to load the script in the same way.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.translation import gettext

from tokens.web.http import cookies
from tokens.web.http.paths import auth_api, is_navigation

SCRIPT = "tokens/crossing.js"


def is_harmless_navigation(request: HttpRequest) -> bool:
    """Return whether a request of another site goes to a page, and changes nothing."""
    return request.method in {"GET", "HEAD"} and is_navigation(request)


def page(request: HttpRequest) -> HttpResponse:
    """Return the page. Without the auth API in the project's URLs it has no script, only the link."""
    root = auth_api()
    try:
        script = static(SCRIPT)
    except ValueError:  # `collectstatic` has not run.
        root, script = None, ""
    try:
        # Rendered without the request, so that nothing asks for the user.
        text: str = render_to_string("tokens/crossing.html", {"script": script, "refresh": root and f"{root}refresh"})
    except TemplateDoesNotExist:  # The project has no templates of apps.
        text = f'<!doctype html><title>{gettext("One moment")}</title><a href="">{gettext("Open the page")}</a>'
    source = urlsplit(script).netloc or "'self'"
    policy = (
        f"default-src 'none'; script-src {source}; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {_frame_ancestors()}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        # A window that another page has opened, such as one for OAuth, would lose its opener before its view runs.
        "Cross-Origin-Opener-Policy": "unsafe-none",
    }
    response = HttpResponse(text, headers=headers)
    cookies.keep_private(response)
    return response


def _frame_ancestors() -> str:
    """Return which sites may show the page in a frame: those that may show the project's other pages."""
    directives: Any = getattr(settings, "SECURE_CSP", None) or {}
    found = directives.get("frame-ancestors")
    if found:
        return found if isinstance(found, str) else " ".join(found)
    return "'self'" if settings.X_FRAME_OPTIONS == "SAMEORIGIN" else "'none'"
