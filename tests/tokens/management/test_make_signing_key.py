"""``make_signing_key`` writes a key that the settings accept to a file that only its owner can read."""

import os
import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.core.management import CommandError

from tests.tokens.management.steps import output_of
from tests.tokens.protocol.pems import pem
from tokens.conf import keyring, signing_keys, token_settings
from tokens.management.commands.make_signing_key import Command
from tokens.protocol.signing_keys import ALGORITHMS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key is written. Without a new directory a key of another test would be there."""
    return tmp_path / "key.pem"


def run(path: Path, *arguments: str) -> str:
    return output_of("make_signing_key", "--output", str(path), *arguments)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_settings_accept_the_key(algorithm, path, settings):
    run(path, "--algorithm", algorithm)
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")  # PKCS#8
    settings.TOKENS = {"ALGORITHM": algorithm, "SIGNING_KEYS": [str(path)]}
    assert token_settings().keys[0] is not None
    assert keyring().signing_key.algorithm == algorithm


def test_an_rsa_key_has_3072_bits(path):
    run(path, "--algorithm", "RS256")
    private = signing_keys.load(str(path)).private
    assert isinstance(private, RSAPrivateKey)
    assert private.key_size == 3072


@pytest.mark.parametrize("umask", [0, 0o022, 0o077], ids=oct)
def test_only_its_owner_can_read_the_file(umask, path):
    before = os.umask(umask)
    try:
        run(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "directory"])
def test_nothing_is_overwritten(kind, path, tmp_path):
    other = tmp_path / "other"
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(other)
    if kind == "link":
        other.write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        run(path)
    assert kind == "directory" or kind == "dangling link" or path.read_text() == "mine"
    assert other.exists() == (kind == "link")


def test_a_directory_that_does_not_exist_is_reported(tmp_path):
    with pytest.raises(CommandError, match="No such file or directory"):
        run(tmp_path / "nowhere" / "key.pem")


def test_a_full_disk_leaves_no_part_of_a_key(path, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CommandError, match="No space left"):
        run(path)
    assert list(path.parent.iterdir()) == []


def test_the_output_says_how_to_use_the_key_and_does_not_show_it(path):
    output = run(path, "--algorithm", "ES256")
    assert f"TOKENS_SIGNING_KEYS={path},derived TOKENS_ALGORITHM=ES256" in output
    steps = re.findall(r"TOKENS_SIGNING_KEYS=(\S+)", output)
    assert steps == [f"{path},derived", f"derived,{path}", f"{path},derived", str(path)]
    assert signing_keys.load(str(path)).kid in output
    for line in path.read_text().splitlines():
        assert line not in output


def test_the_output_does_not_show_the_keys_of_the_settings(path, settings):
    settings.TOKENS = {"SIGNING_KEYS": [pem("EdDSA"), "derived"]}
    output = run(path)
    assert "<the keys before>" in output
    for line in pem("EdDSA").splitlines():
        assert line not in output


def test_a_key_can_be_made_while_the_settings_lack_one(tmp_path, settings, monkeypatch):
    """RS256 without a key fails the system checks, so this command must not run them."""
    settings.TOKENS = {"ALGORITHM": "RS256"}
    monkeypatch.chdir(tmp_path)
    assert Command.requires_system_checks == []
    output_of("make_signing_key")
    assert signing_keys.load("signing-key.pem").algorithm == "RS256"


def test_an_unknown_algorithm_is_rejected(path):
    with pytest.raises(CommandError, match="HS256"):
        run(path, "--algorithm", "HS256")
