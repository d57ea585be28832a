"""Password hashers for tests, with the smallest parameters that they accept."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher, ScryptPasswordHasher

from tokens.hashers import PBKDF2, Argon2, Scrypt


class CheapArgon2(Argon2):
    time_cost = 1
    memory_cost = 8
    parallelism = 1


class _PBKDF2AsTyped(PBKDF2PasswordHasher):
    iterations = 1


class CheapPBKDF2(PBKDF2):
    iterations = 1
    _as_typed = _PBKDF2AsTyped()


class _ScryptAsTyped(ScryptPasswordHasher):
    work_factor = 2


class CheapScrypt(Scrypt):
    work_factor = 2
    _as_typed = _ScryptAsTyped()
