"""Django's messages, kept in its session.

Django's storage and its request refer to each other, so that each request would wait for the garbage collector, with
all that it refers to. This storage refers to its request weakly. The server holds the request until the response is
closed.
"""

from typing import Any
from weakref import proxy

from django.contrib.messages.storage import session
from django.http import HttpRequest


class Storage(session.SessionStorage):
    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        super().__init__(proxy(request), *args, **options)
