"""``manage.py make_signing_key``: makes a private key for SIGNING_KEYS, in a file that only its owner can read."""

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
"""The size that NIST SP 800-57 part 1 requires of keys that are used after 2030."""

_USE = """\
{path}: a private key for {algorithm} with the name {kid}

With one process:

    TOKENS_SIGNING_KEYS={path},{before} TOKENS_ALGORITHM={algorithm}

With several processes, do each step on all of them before the next. So none gets a token that it cannot verify:

    1. TOKENS_SIGNING_KEYS={before},{path}
    2. after five minutes, because other services keep the public keys for so long,
       TOKENS_SIGNING_KEYS={path},{before} TOKENS_ALGORITHM={algorithm}

When the older access tokens have expired ({lifetime} s), remove their key:

    TOKENS_SIGNING_KEYS={path} TOKENS_ALGORITHM={algorithm}
"""


class Command(BaseCommand):
    help = (
        "Makes a private key for SIGNING_KEYS, as PKCS#8 PEM, in a file that only its owner can read. Then says how to "
        "change to it without signing anybody out."
    )
    # The settings may already name the key file that this command is about to write.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--algorithm", choices=ALGORITHMS, help="the algorithm of the key. Default: the setting ALGORITHM"
        )
        parser.add_argument(
            "--output",
            default="signing-key.pem",
            metavar="FILE",
            help="the file to write, which must not exist. Default: signing-key.pem",
        )

    def handle(self, *args: Any, algorithm: str | None, output: str, **options: Any) -> None:
        found, _ = conf.read()
        algorithm = algorithm or (found.algorithm if found.algorithm in ALGORITHMS else EDDSA)
        path = Path(output).absolute()
        private = _generate(algorithm)
        _write(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        # Keys in the setting are not printed, because they may be PEM texts.
        before = DERIVED if found.signing_keys == (DERIVED,) else "<the keys before>"
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
        raise CommandError(f"{path} exists already, and is not overwritten. Choose another --output") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be written: {getattr(error, 'strerror', error)}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        # An incomplete file would prevent the next attempt.
        with suppress(OSError):
            path.unlink()
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
