"""To whom Django mails reports of errors in tests."""

from typing import Any

import django

_ADDRESS = "operator@example.org"
OPERATORS: list[Any] = [_ADDRESS] if django.VERSION >= (6, 0) else [("operator", _ADDRESS)]
"""A value of ``ADMINS``. From Django 6.0 on it has addresses, and no names."""
