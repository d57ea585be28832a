"""Clients in Node, which visit the same sites as the browser."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.browser.sites import Certificate, Site
from tests.browser.steps import EXPIRED

PRELOADED = Path(__file__).parents[1] / "clients" / "under_test.mjs"


def node_environment(certificate: Certificate) -> dict[str, str]:
    """Return the environment of a Node process that resolves the sites' names and trusts their certificate."""
    return {
        "PATH": os.environ["PATH"],
        "NODE_EXTRA_CA_CERTS": str(certificate.authority_path),
        "NODE_OPTIONS": f"--import={PRELOADED.as_uri()}",
    }


def converse(site: Site, certificate: Certificate, folder: Path, program: str, *arguments: str) -> dict[str, Any]:
    """Run a client's program, and return all that it reports. When it reports "expire", its access token expires."""
    told: dict[str, Any] = {}
    pipe = subprocess.PIPE
    command, env = ["node", program, site.origin, *arguments], node_environment(certificate)
    with subprocess.Popen(command, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        for line in process.stdout:
            said = json.loads(line)
            if said.pop("expire", False):
                site.forward(EXPIRED)
            told |= said
            process.stdin.write("true\n")
            process.stdin.flush()
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    return told
