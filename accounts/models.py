"""The user model: users sign in with their e-mail address. Beside it are registrations and other rows."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction
from django.db.models.signals import post_save
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts import demo_accounts
from accounts.addresses import MAX_ADDRESS, canonical, masked, validate_new_address
from accounts.saving import OnlyChanges
from tokens.service.public import Read

MAX_NAME = 254
"""Characters of the user name in a registration."""
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

        Receivers end the sessions of a user who is deactivated. If ``email`` changes, the canonical addresses do too.
        """
        if not {"is_active", "email"} & values.keys():
            return super().update(**values)
        with transaction.atomic(using=self.db):
            # Rows that are active already, or not, are not loaded.
            rows_changed = self if "email" in values else self.exclude(is_active=values["is_active"])
            changed = list(rows_changed.values_list("pk", flat=True))
            rows = super().update(**values)
            for user in list(self.model._base_manager.using(self.db).filter(pk__in=changed)):
                if "email" in values:
                    CanonicalAddress.claim(user)
                if "is_active" not in values:
                    continue
                post_save.send(
                    sender=self.model,
                    instance=user,
                    created=False,
                    update_fields=frozenset(values),
                    raw=False,
                    using=self.db,
                )
        return rows

    def bulk_create(self, objs: Iterable["User"], *args: Any, **options: Any) -> list["User"]:
        """Create users as Django does, with their canonical addresses.

        With ``ignore_conflicts`` or ``update_conflicts`` it is not known which rows were written. Run
        ``manage.py canonical_addresses`` afterwards.
        """
        with transaction.atomic(using=self.db):
            made = super().bulk_create(objs, *args, **options)
            if not (options.get("ignore_conflicts") or options.get("update_conflicts")):
                CanonicalAddress.claim_all(made, self.db)
        return made


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

    def at_address(self, address: str) -> "User | None":
        """Return the user whom this spelling of an address means, or None. This takes one statement.

        The exact spelling wins. Any other one finds the user to whom the canonical address belongs, if that is still
        the user's address (`accounts.addresses`).
        """
        wanted = canonical(address)
        if self.model is User:
            rows = _of_address(self.db, email=address, wanted=wanted)
        else:  # A model that inherits from it can have a manager that filters.
            rows = self.filter(_is_at(self.db, address, wanted))
        exact = [user for user in rows if user.email == address.lower()]
        return next(iter(exact or [user for user in rows if canonical(user.email) == wanted]), None)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user whom this spelling of an address means. Raise `DoesNotExist`."""
        if (user := self.at_address(username or "")) is None:
            raise self.model.DoesNotExist
        return user

    async def aget_by_natural_key(self, username: str | None) -> "User":
        return await sync_to_async(self.get_by_natural_key)(username)


def _is_at(alias: str, email: Any, wanted: Any) -> models.Q:
    """Return the condition for users with this address, and for the one to whom this canonical address belongs."""
    owner = CanonicalAddress.objects.using(alias).filter(address=wanted).values("user")[:1]
    return models.Q(email=email) | models.Q(pk=models.Subquery(owner))


_of_address = Read(lambda alias, **given: models.QuerySet(User, using=alias).filter(_is_at(alias, **given)))


class User(OnlyChanges, AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = LowercaseEmailField(
        _("e-mail address"), unique=True, error_messages={"unique": _("There is an account with this address.")}
    )
    is_staff = models.BooleanField(_("staff"), default=False, help_text=_("May sign in to the admin."))
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switch off instead of deleting: it ends every session of theirs.")
    )
    # The address of a new user counts as confirmed, because registrations are confirmed before they become users.
    email_confirmed_at = models.DateTimeField(
        _("e-mail address confirmed"),
        default=timezone.now,
        null=True,
        editable=False,
        help_text=_("Empty if an administrator has changed the address, and its owner has not confirmed it yet."),
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        swappable = "AUTH_USER_MODEL"
        # For the filters of the admin, which select few users among many, in the order of its list.
        indexes = [
            models.Index(fields=["email"], name="accounts_user_staff", condition=models.Q(is_staff=True)),
            models.Index(fields=["email"], name="accounts_user_superusers", condition=models.Q(is_superuser=True)),
            models.Index(fields=["email"], name="accounts_user_switched_off", condition=models.Q(is_active=False)),
        ]

    def __str__(self) -> str:
        return str(self.email)

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Any:
        """Return the user of a row. With DEBUG off an account of the demo is inactive, whatever its row says."""
        found = super().from_db(*args, **options)
        if found.__dict__.get("email") in demo_accounts.FLAGS and not settings.DEBUG:
            found.is_active = False
            found._remember()  # A save leaves the row as it is.
        return found

    def check_password(self, raw_password: Any) -> bool:
        """Return whether the password is right. With DEBUG off that of the demo is wrong for every account."""
        return super().check_password(raw_password) and demo_accounts.may_use(raw_password)

    async def acheck_password(self, raw_password: Any) -> bool:
        """See `check_password`."""
        return await super().acheck_password(raw_password) and demo_accounts.may_use(raw_password)

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return the address as it is. Django's forms would write the NFKC form, which may be another account's."""
        return username

    def validate_unique(self, exclude: Any = None) -> None:
        """Also raise `ValidationError` if the address is new and means another account, or cannot be a new one."""
        super().validate_unique(exclude)
        stored = self._stored_email(router.db_for_write(User, instance=self))
        if "email" in (exclude or ()) or stored == self.email.lower():
            return
        try:
            validate_new_address(self.email)
        except ValidationError as error:
            raise ValidationError({"email": error}) from None
        if CanonicalAddress.means_another(self):
            raise ValidationError({"email": self.unique_error_message(User, ("email",))})

    def save(self, **options: Any) -> None:
        """Save the user and the canonical address.

        Raise `IntegrityError` if another spelling of a new address has an account.
        """
        fields = options["update_fields"] = self.fields_to_save(**options)
        if fields is not None and "email" not in fields:
            super().save(**options)
            return
        alias = options.get("using") or router.db_for_write(User, instance=self)
        with transaction.atomic(using=alias):
            before = self._stored_email(alias)
            super().save(**options)
            if self.email != before:
                CanonicalAddress.claim(self)

    def _stored_email(self, alias: str) -> str | None:
        if self._state.adding:
            return None
        return User._base_manager.using(alias).filter(pk=self.pk).values_list("email", flat=True).first()


class CanonicalAddress(models.Model):
    """Whom the spellings of an address mean. `accounts.addresses` describes the table, and how it stays right."""

    address = models.CharField(max_length=MAX_ADDRESS, primary_key=True)
    # Without a constraint in the database, SQL can delete a user as before. The row that is left finds nobody.
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, db_constraint=False, related_name="+"
    )

    def __str__(self) -> str:
        return self.address

    @classmethod
    def claim(cls, user: User) -> None:
        """Make the spellings of a saved address mean this user. Raise `IntegrityError` if they mean another one.

        Call it in the transaction that saves the address.
        """
        alias, address = user._state.db, canonical(user.email)
        cls.objects.using(alias).filter(user=user.pk).exclude(address=address).delete()
        if len(address) > MAX_ADDRESS:
            return  # It was not validated. Only its exact spelling is found.
        try:
            with transaction.atomic(using=alias):
                cls.objects.using(alias).create(address=address, user_id=user.pk)
        except IntegrityError:
            entry = cls.objects.using(alias).select_for_update().filter(address=address).first()
            if entry is None or (entry.user_id != user.pk and not entry._is_stale()):
                raise
            entry.user_id = user.pk
            entry.save(using=alias, update_fields=["user"])

    @classmethod
    def claim_all(cls, users: list[User], alias: str) -> None:
        """Do the same as `claim` for new users, in one statement if no address is taken."""
        try:
            with transaction.atomic(using=alias):
                entries = [CanonicalAddress(address=canonical(user.email), user_id=user.pk) for user in users]
                kept = [entry for entry in entries if len(entry.address) <= MAX_ADDRESS]
                CanonicalAddress.objects.using(alias).bulk_create(kept)
        except IntegrityError:
            for user in users:
                cls.claim(user)

    @classmethod
    def means_another(cls, user: User) -> bool:
        """Return whether the address of ``user`` belongs to another account, or to several."""
        entry = cls.objects.using(router.db_for_write(User)).filter(address=canonical(user.email)).first()
        return entry is not None and entry.user_id != user.pk and not entry._is_stale()

    def _is_stale(self) -> bool:
        """Return whether the user has another address now, or was deleted, by a writer that did not call the model."""
        if self.user_id is None:
            return False
        email = User._base_manager.using(self._state.db).filter(pk=self.user_id).values_list("email", flat=True).first()
        return email is None or canonical(email) != self.address


class Registration(models.Model):
    """An address that was registered and is not confirmed yet. It is no account, and nobody can sign in to it."""

    LIFETIME = timedelta(days=1)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=MAX_ADDRESS)
    canonical_address = models.CharField(max_length=MAX_ADDRESS, db_index=True)
    password = models.CharField(max_length=128)
    # The user name, if it is not the address.
    username = models.CharField(max_length=MAX_NAME, blank=True, default="", db_default="")
    # How often the owner of the mailbox asked for a user name that is taken.
    name_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    # How often the page behind the link was given a password.
    tries = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)
    # Kept until it expires, so that its link can say what it did.
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.email


class PendingChange(models.Model):
    """A change of an account that waits until the link in a mail is used (`accounts.service.pending_changes`)."""

    class Purpose(models.TextChoices):
        EMAIL_CHANGE = "email-change"
        PASSWORD_RESET = "password-reset"  # noqa: S105

    class State(models.TextChoices):
        PENDING = "pending"
        USED = "used"
        CANCELLED = "cancelled"

    # Its link is signed with SECRET_KEY only. All bits are random, so that nobody who knows the key can guess an id.
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    # None if a reset was asked for an address without an account. Such a row is deleted in its own transaction.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    # What the account was when the change was asked for: its address, and a digest of its password.
    email = models.EmailField(max_length=MAX_ADDRESS)
    password_digest = models.BinaryField(max_length=32)
    new_email = models.EmailField(max_length=MAX_ADDRESS, blank=True)
    # The session that asked for it.
    session_id = models.UUIDField(null=True)
    # Whether the alarm has sent the link. Later alarms do not name it.
    by_alarm = models.BooleanField(default=False)
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.purpose} {self.email}"

    @property
    def masked_new_email(self) -> str:
        """The new address with only its first character. A reader of an old mailbox may see the page that shows it."""
        return masked(self.new_email)
