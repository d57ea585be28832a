"""A password hasher for tests: Argon2 with the smallest parameters that it accepts."""

from tokens.hashers import Argon2


class CheapArgon2(Argon2):
    time_cost = 1
    memory_cost = 8
    parallelism = 1
