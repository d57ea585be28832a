"""The files of the Next.js app. The tests in ``tests/browser/nextjs`` run it."""

import json
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "nextjs"
README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("file", ["latchkey.js", "16/proxy.js", "app/session.js"])
def test_the_readme_contains_the_tested_code(file):
    assert f"```js\n{(SOURCE / file).read_text()}```\n" in README


def test_both_versions_have_the_same_guard():
    newest = (SOURCE / "16" / "proxy.js").read_text()
    assert (SOURCE / "14" / "middleware.js").read_text() == newest.replace("proxy", "middleware")


@pytest.mark.parametrize("version", ["14", "16"])
def test_each_folder_has_the_version_in_its_name(version):
    package = json.loads((SOURCE / version / "package.json").read_text())
    assert package["dependencies"]["next"].startswith(f"{version}.")
