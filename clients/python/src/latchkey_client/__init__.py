"""A client of Latchkey for scripts and services: an authentication class for httpx, and stores for its tokens.

    from latchkey_client import FileStore, LatchkeyAuth

    auth = LatchkeyAuth("https://auth.example.org", FileStore("tokens.json"))
    with httpx.Client(auth=auth) as client:
        client.get("https://auth.example.org/api/auth/me")

`LatchkeyAuth` says what it does, and `latchkey_client.errors` what it raises. `latchkey_client.keyrings` has a store in
the keyring of the operating system.
"""

from latchkey_client.auth import LatchkeyAuth
from latchkey_client.errors import (
    LatchkeyError,
    SessionIdle,
    SignInRefused,
    SignInRequired,
    StoreFailed,
    Unavailable,
)
from latchkey_client.stores import FileStore, MemoryStore, Store
from latchkey_client.tokens import Tokens

__all__ = [
    "FileStore",
    "LatchkeyAuth",
    "LatchkeyError",
    "MemoryStore",
    "SessionIdle",
    "SignInRefused",
    "SignInRequired",
    "Store",
    "StoreFailed",
    "Tokens",
    "Unavailable",
]
