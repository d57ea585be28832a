"""``make_signing_key``: a key that the settings take, in a file that its owner alone can read."""

import os
import re
import stat
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.core.management import CommandError, call_command

from tests.tokens.pems import pem
from tokens import signing_keys
from tokens.conf import token_settings
from tokens.keys import keyring
from tokens.management.commands.make_signing_key import Command
from tokens.signing_keys import ALGORITHMS


def run(path: Path, *arguments: str) -> str:
    out = StringIO()
    call_command("make_signing_key", "--output", str(path), *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_key_is_one_that_the_settings_take(algorithm, tmp_path, settings):
    path = tmp_path / "key.pem"
    run(path, "--algorithm", algorithm)
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")  # PKCS#8
    settings.TOKENS = {"ALGORITHM": algorithm, "SIGNING_KEYS": [str(path)]}
    assert token_settings().keys[0] is not None
    assert keyring().signing_key.algorithm == algorithm


def test_a_new_rsa_key_is_long_enough_for_years(tmp_path):
    run(tmp_path / "key.pem", "--algorithm", "RS256")
    private = signing_keys.load(str(tmp_path / "key.pem")).private
    assert isinstance(private, RSAPrivateKey)
    assert private.key_size == 3072


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_its_owner_alone_can_read_it(umask, tmp_path):
    before = os.umask(umask)
    try:
        run(tmp_path / "key.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "directory"])
def test_nothing_is_overwritten(kind, tmp_path):
    path, other = tmp_path / "key.pem", tmp_path / "other"
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(other)
    if kind == "link":
        other.write_text("mine")
    with pytest.raises(CommandError, match="there already"):
        run(path)
    assert kind == "directory" or kind == "dangling link" or path.read_text() == "mine"
    assert other.exists() == (kind == "link")


def test_a_place_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="No such file or directory"):
        run(tmp_path / "nowhere" / "key.pem")


def test_a_full_disk_leaves_no_half_a_key(tmp_path, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CommandError, match="No space left"):
        run(tmp_path / "key.pem")
    assert list(tmp_path.iterdir()) == []


def test_what_is_printed_says_how_to_use_it_and_nothing_of_the_key(tmp_path):
    path = tmp_path / "key.pem"
    told = run(path, "--algorithm", "ES256")
    assert f"TOKENS_SIGNING_KEYS={path},derived TOKENS_ALGORITHM=ES256" in told
    steps = re.findall(r"TOKENS_SIGNING_KEYS=(\S+)", told)
    assert steps == [f"{path},derived", f"derived,{path}", f"{path},derived", str(path)]
    assert signing_keys.load(str(path)).kid in told
    for line in path.read_text().splitlines():
        assert line not in told


def test_keys_that_are_there_are_not_printed(tmp_path, settings):
    settings.TOKENS = {"SIGNING_KEYS": [pem("EdDSA"), "derived"]}
    told = run(tmp_path / "key.pem")
    assert "<those of before>" in told
    for line in pem("EdDSA").splitlines():
        assert line not in told


def test_it_is_made_for_the_setting_before_that_has_a_key(tmp_path, settings, monkeypatch):
    """RS256 without a key keeps everything from starting, but for what makes one."""
    settings.TOKENS = {"ALGORITHM": "RS256"}
    monkeypatch.chdir(tmp_path)
    assert Command.requires_system_checks == []
    call_command("make_signing_key", stdout=StringIO())
    assert signing_keys.load("signing-key.pem").algorithm == "RS256"


def test_an_algorithm_that_is_none_is_refused(tmp_path):
    with pytest.raises(CommandError, match="HS256"):
        run(tmp_path / "key.pem", "--algorithm", "HS256")
