"""Asks for each URL of a project, anonymous and signed in, by GET and POST. Exits with the list of those that fail.

`first_steps` copies it into the project, and runs it there.
"""

import re
import sys
from collections.abc import Iterator
from http.cookies import Morsel
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import URLPattern, get_resolver  # noqa: E402

ID = "01a20a65-5189-764f-8426-b0731478d342"


def paths(patterns: list[Any], before: str = "") -> Iterator[str]:
    """Yield a path for each URL. Parameters are an id."""
    for pattern in patterns:
        route = before + re.sub(r"\(\?P<\w+>.+?\+\)|<[\w:]+>", ID, str(pattern.pattern).lstrip("^"))
        if isinstance(pattern, URLPattern):
            yield "/" + route.removesuffix("$").replace("(?:/)?", "").replace("\\Z", "")
        else:
            yield from paths(pattern.url_patterns, route)


def failures() -> Iterator[str]:
    user = get_user_model().objects.get()
    host = settings.ORIGIN.partition("//")[2].partition(":")[0]
    clients = {who: Client(SERVER_NAME=host, raise_request_exception=False) for who in ("anonymous", "signed in")}
    for path in sorted(set(paths(get_resolver().url_patterns))):
        for who, client in clients.items():
            for method in ("get", "post"):
                if who == "signed in" and not client.cookies.get("refresh", Morsel()).value:
                    client.force_login(user)  # The request before has signed out.
                answer = getattr(client, method)(path, headers={"Accept": "text/html"})
                if answer.status_code >= 500:
                    yield f"{method} {path}, {who}: {answer.status_code}"


found = list(failures())
sys.exit("\n".join(found) if found else 0)
