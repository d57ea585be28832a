"""Password hashers for tests: Argon2 and PBKDF2 with the smallest parameters that they accept."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from tokens.hashers import PBKDF2, Argon2


class CheapArgon2(Argon2):
    time_cost = 1
    memory_cost = 8
    parallelism = 1


class _AsTyped(PBKDF2PasswordHasher):
    iterations = 1


class CheapPBKDF2(PBKDF2):
    iterations = 1
    _as_typed = _AsTyped()
