"""The user model: users sign in with their e-mail address."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, router, transaction
from django.db.models import Q, Value
from django.db.models.functions import Coalesce
from django.db.models.signals import post_save
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

MAX_PASSWORD = 4096
"""Characters of a password. Longer ones are not hashed, because hashing a megabyte would take too long."""


class LowercaseEmailField(models.EmailField):  # type: ignore[type-arg]
    """An e-mail address, stored and looked up in lower case, so that upper and lower case mean the same account."""

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return value.lower() if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        # The object gets the same value as its row.
        setattr(model_instance, self.attname, self.to_python(getattr(model_instance, self.attname)))
        return super().pre_save(model_instance, add)

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(super().get_prep_value(value))


class UserQuerySet(models.QuerySet["User"]):
    def for_decision(self) -> "UserQuerySet":
        """Return the rows from the database that takes writes, because a replica may be behind."""
        return self.using(router.db_for_write(self.model))

    def update(self, **values: Any) -> int:
        """Update as Django does. If ``is_active`` changes, also send ``post_save``, which Django does not.

        Receivers end the sessions of a user who is deactivated. The address of a user who is activated counts as
        confirmed, as in `User.save`.
        """
        if "is_active" not in values:
            return super().update(**values)
        if values["is_active"] is True:
            values.setdefault("email_confirmed_at", Coalesce("email_confirmed_at", Value(timezone.now())))
        with transaction.atomic(using=self.db):
            changed = list(self.values_list("pk", flat=True))
            rows = super().update(**values)
            for user in self.model._base_manager.using(self.db).filter(pk__in=changed).iterator():
                post_save.send(
                    sender=self.model,
                    instance=user,
                    created=False,
                    update_fields=frozenset(values),
                    raw=False,
                    using=self.db,
                )
        return rows


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user. Without a password the user cannot sign in with one. Raise `ValueError` without an address."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user: User = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user with all permissions."""
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = LowercaseEmailField(
        _("e-mail address"), unique=True, error_messages={"unique": _("There is an account with this address.")}
    )
    is_staff = models.BooleanField(_("staff"), default=False, help_text=_("May sign in to the admin."))
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switch off instead of deleting: it ends every session of theirs.")
    )
    # An address that is not registered by its user counts as confirmed.
    email_confirmed_at = models.DateTimeField(
        _("e-mail address confirmed"),
        default=timezone.now,
        null=True,
        editable=False,
        help_text=_("Nobody who never confirmed their address is active."),
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        # For the filters of the admin, which select few users among many, in the order of its list.
        indexes = [
            models.Index(fields=["email"], name="accounts_user_staff", condition=Q(is_staff=True)),
            models.Index(fields=["email"], name="accounts_user_superusers", condition=Q(is_superuser=True)),
            models.Index(fields=["email"], name="accounts_user_switched_off", condition=Q(is_active=False)),
        ]

    def __str__(self) -> str:
        return str(self.email)

    def save(self, **options: Any) -> None:
        """Save the user. The address of an active user counts as confirmed.

        Otherwise an old registration link could activate a user who is deactivated later.
        """
        if self.is_active and self.email_confirmed_at is None:
            self.email_confirmed_at = timezone.now()
            if (fields := options.get("update_fields")) is not None and "is_active" in fields:
                options["update_fields"] = {*fields, "email_confirmed_at"}
        super().save(**options)
