"""User models as other projects have them. Those that AUTH_USER_MODEL does not name are swapped out."""

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
