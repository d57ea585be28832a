"""``manage.py make_signing_key``: make a private key for SIGNING_KEYS, in a file that its owner alone can read."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import BaseCommand, CommandError, CommandParser

from tokens import conf
from tokens.conf.signing_keys import DERIVED
from tokens.protocol import signing_keys
from tokens.protocol.signing_keys import ALGORITHMS, EDDSA, ES256, RS256, PrivateKey

RSA_BITS = 3072
"""What NIST SP 800-57 part 1 asks of keys that are used after 2030."""

_USE = """\
{path}: a private key for {algorithm}, named {kid}

With one process:

    TOKENS_SIGNING_KEYS={path},{before} TOKENS_ALGORITHM={algorithm}

With several, so that none sees a token that it cannot check, each step on all of them before the next:

    1. TOKENS_SIGNING_KEYS={before},{path}
    2. after five minutes, for so long other services keep the public keys,
       TOKENS_SIGNING_KEYS={path},{before} TOKENS_ALGORITHM={algorithm}

When the access tokens of before have expired ({lifetime} s), their key can go:

    TOKENS_SIGNING_KEYS={path} TOKENS_ALGORITHM={algorithm}
"""


class Command(BaseCommand):
    help = "Make a private key that signs access tokens, as PKCS#8 PEM."
    # The settings may already ask for the key that is to be made.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--algorithm", choices=ALGORITHMS, help="default: the setting ALGORITHM")
        parser.add_argument(
            "--output",
            default="signing-key.pem",
            metavar="FILE",
            help="where it goes; nothing is overwritten. Default: signing-key.pem",
        )

    def handle(self, *args: Any, algorithm: str | None, output: str, **options: Any) -> None:
        found, _ = conf.read()
        algorithm = algorithm or (found.algorithm if found.algorithm in ALGORITHMS else EDDSA)
        path = Path(output).absolute()
        private = _generate(algorithm)
        _write(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        # Of keys that stand there nothing is repeated: they may be texts.
        before = DERIVED if found.signing_keys == (DERIVED,) else "<those of before>"
        use = _USE.format(
            path=path,
            before=before,
            algorithm=algorithm,
            kid=signing_keys.of(private).kid,
            lifetime=int(found.access_lifetime.total_seconds()),
        )
        self.stdout.write(use, ending="")


def _generate(algorithm: str) -> PrivateKey:
    if algorithm == RS256:
        return generate_rsa_key(public_exponent=65537, key_size=RSA_BITS)
    return generate_private_key(SECP256R1()) if algorithm == ES256 else Ed25519PrivateKey.generate()


def _write(path: Path, pem: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{path} is there already, and is not overwritten: choose another --output") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be written: {getattr(error, 'strerror', error)}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        # Half a key would stand in the way of the next attempt.
        with suppress(OSError):
            path.unlink()
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
