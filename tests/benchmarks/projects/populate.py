"""What a benchmark does in a project's own process: it creates tables and users, and moves the clock.

``python -m tests.benchmarks.projects.populate 1000`` creates the tables and so many users. ``DJANGO_SETTINGS_MODULE``
names the project, and ``DATABASE_URL`` its database.
"""

import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any

import django
from django.apps import apps

PASSWORD = "the password of every user"


def address(number: int) -> str:
    """Return the e-mail address of a user. The first user has the number 0."""
    return f"bench-{number}@example.org"


def migrate() -> None:
    """Create the tables."""
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    # One peer is shipped without migrations, and only its views import its models.
    import_module(settings.ROOT_URLCONF)
    call_command("migrate", run_syncdb=True, verbosity=0)


def populate(count: int) -> None:
    """Create users with confirmed addresses. All have the same password."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password
    from django.utils import timezone

    model = get_user_model()
    names = {field.name for field in model._meta.get_fields()}
    shared: dict[str, Any] = {"password": make_password(PASSWORD)}
    if "email_confirmed_at" in names:
        shared["email_confirmed_at"] = timezone.now()
    new = [
        model(**{"email": address(number), model.USERNAME_FIELD: address(number)}, **shared) for number in range(count)
    ]
    users = model._default_manager.bulk_create(new, batch_size=1000)
    if apps.is_installed("allauth.account"):
        from allauth.account.models import EmailAddress

        addresses = [EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users]
        EmailAddress.objects.bulk_create(addresses, batch_size=1000)


def forward(seconds: float) -> None:
    """Move the clock of this process forward, and that of Latchkey's database with it."""
    _traveller().shift(timedelta(seconds=seconds))


@cache
def _traveller() -> Any:
    import time_machine

    if apps.is_installed("tokens"):
        from tokens.database.expressions import DatabaseNow

        DatabaseNow.as_postgresql = DatabaseNow.as_sqlite  # type: ignore[method-assign]
    return time_machine.travel(datetime.now(UTC), tick=True).start()


if __name__ == "__main__":
    django.setup()
    migrate()
    populate(int(sys.argv[1]))
