"""Django's receiver that writes the time of a sign-in to ``last_login``, at every isolation level.

Parallel sign-ins of one user write the same row. At `SERIALIZABLE` and `REPEATABLE READ` only one of them succeeds.
"""

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import update_last_login
from django.contrib.auth.signals import user_logged_in
from django.db.models.query_utils import DeferredAttribute

from tokens.database.transactions import unless_overtaken, writer

_ID = "update_last_login"
"""The id under which Django connects its receiver."""


def note(sender: Any, user: Any, **kwargs: Any) -> None:
    """Do what Django's receiver does, unless a parallel sign-in of the user has just done it."""
    with unless_overtaken(writer(get_user_model())):
        update_last_login(sender, user, **kwargs)


def replace() -> None:
    """Connect `note` in the place of Django's receiver, if a project has not disconnected that one.

    Django connects it when the app ``auth`` is ready, and not if there is one with this id already. Packages for
    impersonation disconnect what has this id for a while, and then connect Django's.
    """
    labels = [config.label for config in apps.get_app_configs()]
    is_first = labels.index("tokens") < labels.index("auth")
    is_field = isinstance(getattr(get_user_model(), "last_login", None), DeferredAttribute)
    if user_logged_in.disconnect(dispatch_uid=_ID) or (is_first and is_field):
        user_logged_in.connect(note, dispatch_uid=_ID)
