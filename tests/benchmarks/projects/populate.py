"""Makes the tables and users of a project: ``python -m tests.benchmarks.projects.populate 1000``.

``DJANGO_SETTINGS_MODULE`` names the project, ``DATABASE_URL`` its database.
"""

import argparse
from importlib import import_module

import django

PASSWORD = "a password of everybody's"


def address(number: int) -> str:
    """Return the e-mail address of a user; the first is 0."""
    return f"bench-{number}@example.org"


def migrate() -> None:
    """Make the tables."""
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    # One peer is shipped without migrations, and has models that nothing but its views imports.
    import_module(settings.ROOT_URLCONF)
    call_command("migrate", run_syncdb=True, verbosity=0)


def populate(count: int) -> None:
    """Make users with confirmed addresses, and all with the same password."""
    from django.apps import apps
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password
    from django.utils import timezone

    model = get_user_model()
    fields = {field.name for field in model._meta.get_fields()}
    confirmed = {"email_confirmed_at": timezone.now()} if "email_confirmed_at" in fields else {}
    password = make_password(PASSWORD)
    users = model._default_manager.bulk_create(
        [
            model(**{"email": address(number), model.USERNAME_FIELD: address(number)}, password=password, **confirmed)
            for number in range(count)
        ],
        batch_size=1000,
    )
    if apps.is_installed("allauth.account"):
        from allauth.account.models import EmailAddress

        EmailAddress.objects.bulk_create(
            [EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users],
            batch_size=1000,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many users")
    arguments = parser.parse_args()
    django.setup()
    migrate()
    populate(arguments.count)
