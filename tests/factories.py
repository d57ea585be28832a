"""Users for tests, made as the project makes them: by `create_user`, with a password."""

from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from accounts import links
from accounts.links import Purpose
from accounts.models import Registration
from accounts.service import pending_changes
from tokens.sessions import canonical

User = get_user_model()
"""The user model of the project: our own, or Django's with ``--ds=tests.settings_auth_user``."""
HAS_NAMES = User.get_email_field_name() != User.USERNAME_FIELD
"""Whether users have a user name beside the address."""
PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.org")
    if HAS_NAMES:
        username = factory.Sequence(lambda n: f"user{n}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return model_class.objects.create_user(password=fields.pop("password", PASSWORD), **fields)


def pending(email: str, password: str = PASSWORD, **fields: Any) -> Registration:
    """Return a registration of this address that is not confirmed yet."""
    fields = ({"username": canonical(email).partition("@")[0]} if HAS_NAMES else {}) | fields
    given = {"canonical_address": canonical(email), "expires_at": timezone.now() + Registration.LIFETIME, **fields}
    return Registration.objects.create(email=email, password=make_password(password), **given)


def link_token(purpose: Purpose, user: User, new_email: str = "") -> str:
    """Return the token of a new link for this user, as in a mail."""
    if purpose is Purpose.ALARM:
        return links.make(purpose, user.pk)
    return pending_changes.add(purpose, user, new_email=new_email)


class AdminFactory(UserFactory):
    is_staff = True
    is_superuser = True
