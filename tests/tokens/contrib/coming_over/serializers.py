from typing import Any

from rest_framework_simplejwt.serializers import TokenObtainPairSerializer


class WithName(TokenObtainPairSerializer):  # type: ignore[misc]
    """As projects extend simplejwt's: a claim, and a member of the answer."""

    @classmethod
    def get_token(cls, user: Any) -> Any:
        token = super().get_token(user)
        token["name"] = user.email
        return token

    def validate(self, attrs: Any) -> Any:
        return {**super().validate(attrs), "name": self.user.email}
