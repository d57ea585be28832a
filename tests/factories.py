"""Users for tests, made as the project makes them: by `create_user`, with a password."""

from typing import Any

import factory

from accounts.models import User

PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.org")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return model_class.objects.create_user(password=fields.pop("password", PASSWORD), **fields)


class AdminFactory(UserFactory):
    is_staff = True
    is_superuser = True
