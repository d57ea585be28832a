"""URL patterns of the API, whose views are imported with Django REST framework when they are first asked for.

Commands, and processes that only show pages, do without both. A server that should not let the first request wait for
them imports the views before it comes.
"""

from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.utils.module_loading import import_string


class Endpoint:
    """A view class of the API by its dotted path, in the place of what its ``as_view()`` returns."""

    # What Django asks about any view of REST framework, without importing this one.
    csrf_exempt = True
    login_required = False

    def __init__(self, path: str) -> None:
        self._path = path
        self.__module__, _, self.__name__ = path.rpartition(".")
        self.__qualname__ = self.__name__

    @cached_property
    def _view(self) -> Any:
        return import_string(self._path).as_view()

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = self._view(request, *args, **kwargs)
        return response

    @property
    def _non_atomic_requests(self) -> set[str]:
        found: set[str] = self._view._non_atomic_requests
        return found

    # By these a generator of descriptions knows it for a view of REST framework.

    @property
    def cls(self) -> Any:
        return self._view.cls

    @property
    def initkwargs(self) -> Any:
        return self._view.initkwargs


def endpoint(route: str, view: str, name: str) -> Any:
    """Return the URL pattern of a view class. A trailing slash is neither needed nor refused."""
    return re_path(rf"^{route}(?:/)?$", Endpoint(view), name=name)
