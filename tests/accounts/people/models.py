"""User models as other projects have them. Those that AUTH_USER_MODEL does not name are swapped out."""

from typing import ClassVar
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models


class Handles(BaseUserManager["Reader"]):
    def create_user(self, handle, password=None, **fields):
        user = self.model(handle=handle, **fields)
        user.set_password(password)
        user.save()
        return user


class Reader(AbstractBaseUser):
    """A user without an e-mail address, and without ``is_active`` and permissions."""

    handle = models.CharField(max_length=30, unique=True)
    objects = Handles()
    USERNAME_FIELD = "handle"

    class Meta:
        swappable = "AUTH_USER_MODEL"


class Member(AbstractUser):
    """A user with fields that nobody asks for at a registration, in two ways."""

    birthday = models.DateField()
    club = models.CharField(max_length=30)
    REQUIRED_FIELDS = [*AbstractUser.REQUIRED_FIELDS, "club"]

    class Meta:
        swappable = "AUTH_USER_MODEL"


class Subscriber(AbstractUser):
    """A user whose user name is the e-mail address, as many projects have it."""

    username = None
    email = models.EmailField(unique=True)
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        swappable = "AUTH_USER_MODEL"


class Collector(AbstractBaseUser):
    """A user whose fields have the names of our tables, and whose address has a name of its own."""

    handle = models.CharField(max_length=30, unique=True)
    mailbox = models.EmailField(blank=True)
    devices = models.IntegerField(default=0)
    refresh_tokens = models.IntegerField(default=0)
    objects = Handles()
    USERNAME_FIELD = "handle"
    EMAIL_FIELD = "mailbox"
    REQUIRED_FIELDS = ["mailbox"]

    class Meta:
        swappable = "AUTH_USER_MODEL"


class Numbers(BaseUserManager["Worker"]):
    def create_user(self, number, password=None, **fields):
        user = self.model(number=number, **fields)
        user.set_password(password)
        user.save()
        return user


class Worker(AbstractBaseUser):
    """A user who signs in by a number, and whose primary key is a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    number = models.BigIntegerField(unique=True)
    objects = Numbers()
    USERNAME_FIELD = "number"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        swappable = "AUTH_USER_MODEL"
