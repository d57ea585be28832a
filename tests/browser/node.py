"""Clients in Node, which visit a site as the browser does."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.browser.sites import Certificate, Site

PRELOADED = Path(__file__).parents[1] / "clients" / "under_test.mjs"


def environment(certificate: Certificate) -> dict[str, str]:
    """Of a process in Node that finds the sites and trusts them."""
    return {
        "PATH": os.environ["PATH"],
        "NODE_EXTRA_CA_CERTS": str(certificate.authority_path),
        "NODE_OPTIONS": f"--import={PRELOADED.as_uri()}",
    }


def converse(site: Site, certificate: Certificate, folder: Path, program: str, *arguments: str) -> dict[str, Any]:
    """Run a client's program, and return all that it told; meanwhile its tokens expire whenever it asks for that."""
    told: dict[str, Any] = {}
    with subprocess.Popen(
        ["node", program, site.origin, *arguments],
        cwd=folder,
        env=environment(certificate),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            said = json.loads(line)
            if said.pop("expire", False):
                site.forward(601)
            told |= said
            process.stdin.write("true\n")
            process.stdin.flush()
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    return told
