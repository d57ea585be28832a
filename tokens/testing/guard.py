"""Keeps the functions of this package from working in production."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.test import utils

P = ParamSpec("P")
R = TypeVar("R")


class NotTesting(RuntimeError):
    """No tests run in this process, and DEBUG is off."""

    def __init__(self) -> None:
        super().__init__(
            "tokens.testing signs people in without a password, so it works only while tests run or with DEBUG on. "
            "Django's test runner and pytest-django call django.test.utils.setup_test_environment(). Others have to."
        )


def require_tests() -> None:
    """Raise `NotTesting` unless `setup_test_environment` was called or DEBUG is on.

    Django keeps in this attribute what `teardown_test_environment` restores.
    """
    if not (hasattr(utils._TestState, "saved_data") or settings.DEBUG):
        raise NotTesting


def only_in_tests(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that does the same, and raises `NotTesting` where it must not work."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        require_tests()
        return function(*args, **kwargs)

    return guarded
