"""A factor of tests: a code that is always the same, and that every account has."""

from typing import Any

from tokens.sessions import Factor

RIGHT, WRONG = "123456", "654321"


class Code(Factor):
    name = label = "totp"
    proves = frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return True

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return ["otp"] if answer == RIGHT else None
