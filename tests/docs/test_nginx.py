"""The lines for nginx in the guide, read by nginx itself."""

import re
import shutil
import subprocess

import pytest

from tests.docs.blocks import Block, blocks
from tests.documents import ROOT

[HEADERS] = blocks("docs/how-to/proxy.md", "nginx")
CONFIGURATION = """
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    server {{
        listen unix:{folder}/socket;
        location / {{
            proxy_pass http://127.0.0.1:8000;
            {headers}
        }}
    }}
}}
"""


def runs_blocks() -> list[Block]:
    return [HEADERS]


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_accepts_the_headers(tmp_path):
    for text, status in ((HEADERS.text, 0), (HEADERS.text.replace("$remote_addr", "$remote_address"), 1)):
        file = tmp_path / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=tmp_path, headers=text))
        done = subprocess.run(["nginx", "-t", "-c", str(file), "-p", str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == status, done.stderr


def test_our_own_configuration_sets_the_same_headers():
    template = (ROOT / "deploy" / "nginx.conf.template").read_text()
    for header in re.findall(r"proxy_set_header (\S+)", HEADERS.text):
        assert f"proxy_set_header {header} " in template, header
