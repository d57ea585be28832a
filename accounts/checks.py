"""System checks: ``accounts.W001``, the accounts of the demo are in the database, and DEBUG is off."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, router

from accounts import demo_accounts
from accounts.models import User


@register(Tags.database)
def check_demo_accounts(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the accounts whose password is published are not in the database of a production server."""
    alias = router.db_for_write(User)
    if settings.DEBUG or alias not in (databases or ()):
        return []
    if User._meta.db_table not in connections[alias].introspection.table_names():
        return []
    rows = User.objects.using(alias).filter(email__in=demo_accounts.FLAGS).order_by("email")
    found = ", ".join(rows.values_list("email", flat=True))
    if not found:
        return []
    hint = "Their password is published, so they cannot sign in while DEBUG is off. Delete them."
    return [Warning(f"The accounts of the demo are in the database: {found}.", hint=hint, id="accounts.W001")]
