"""What of the Next.js app can be said without running it; ``tests/browser/nextjs`` runs it."""

import json
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "nextjs"
README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("file", ["latchkey.js", "16/proxy.js", "app/session.js"])
def test_the_readme_has_the_very_code_that_is_run(file):
    assert f"```js\n{(SOURCE / file).read_text()}```\n" in README


def test_both_versions_are_guarded_alike():
    newest = (SOURCE / "16" / "proxy.js").read_text()
    assert (SOURCE / "14" / "middleware.js").read_text() == newest.replace("proxy", "middleware")


@pytest.mark.parametrize("version", ["14", "16"])
def test_each_folder_has_the_version_that_it_is_named_after(version):
    package = json.loads((SOURCE / version / "package.json").read_text())
    assert package["dependencies"]["next"].startswith(f"{version}.")
