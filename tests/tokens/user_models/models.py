"""User models of other projects: a proxy, a child with a table of its own, and one whose manager hides users."""

from typing import Any

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


class Person(AbstractUser):
    groups = user_permissions = None  # type: ignore[assignment]


class Member(Person):
    """A proxy: the rows are those of `Person`."""

    class Meta:
        proxy = True


class Employee(Person):
    """A child: a user is a row of `Person` and one of this table."""

    number = models.IntegerField(default=7)


class KeptManager(UserManager["Customer"]):
    """Hides users who are deleted only by a mark, and ignores case. Both are found in many projects."""

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(deleted_at=None)

    def get_by_natural_key(self, username: str | None) -> Any:
        return self.get(username__iexact=username)


class Customer(AbstractUser):
    groups = user_permissions = None  # type: ignore[assignment]
    deleted_at = models.DateTimeField(null=True)

    objects = KeptManager()
