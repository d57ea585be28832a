"""The npm packages: their types agree with the API's description, and their archives work in an empty project.

The project is made by the commands of the guides, and the compiler checks the code of the guides in it.
"""

import json
import os
import subprocess
from pathlib import Path
from shutil import copytree

import pytest

from tests.docs.blocks import Block, blocks
from tests.documents import ROOT
from tests.programs import completed

GUIDES = ("docs/how-to/single-page-app.md", "docs/how-to/react.md", "docs/how-to/react-native.md")
READMES = ("clients/browser/README.md", "clients/react/README.md", "clients/react-native/README.md")
PROGRAMS = Path("node_modules", ".bin")
BUILD, THERE = "npm install --prefix clients\n", "/path/to/your/application"
OTHERS = (
    *("react@19.3.1", "@types/react@19.3.1", "@types/node@20.19.24", "expo-secure-store@57.0.4", "vite@8.3.4"),
    "@vitejs/plugin-react@6.1.2",
)
"""What the guides' code uses besides. The peers of these packages are not needed here, and not installed."""


def commands() -> list[Block]:
    """The blocks that install the packages."""
    return [one for page in GUIDES for one in blocks(page, "sh")]


def programs() -> list[Block]:
    """The blocks of code, each a file of an application."""
    return [one for page in (*GUIDES, *READMES) for one in blocks(page, "js", "ts", "tsx")]


def runs_blocks() -> list[Block]:
    return [*commands(), *programs()]


def run(folder: Path, *command: str | Path) -> list[str]:
    """Run a program, and return the lines that it prints if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


@pytest.fixture
def generated(workspace, client, tmp_path) -> Path:
    """The types that openapi-typescript makes from the server's description, next to the program that compares them."""
    copytree(workspace / "tests" / "schema", tmp_path / "schema")
    (tmp_path / "node_modules").symlink_to(workspace / "node_modules")
    description = client.get("/api/schema", headers={"Accept": "application/json"})
    (tmp_path / "schema.json").write_bytes(description.content)
    output = tmp_path / "schema" / "schema.d.ts"
    assert run(tmp_path, workspace / PROGRAMS / "openapi-typescript", "schema.json", "--output", output) == []
    return output


def test_the_types_of_the_packages_are_those_of_the_description(workspace, generated):
    check = (workspace / PROGRAMS / "tsc", "--project", "schema")
    assert run(generated.parents[1], *check) == []
    # The compiler notices another description: a code is gone, and each user has a name.
    other = generated.read_text().replace('"throttled" | ', "").replace("UserOutput: {", "UserOutput: { name: string;")
    generated.write_text(other)
    found = "\n".join(run(generated.parents[1], *check))
    assert found.count("Type 'true' is not assignable to type 'false'") == 5, found


@pytest.fixture(scope="module")
def project(workspace, tmp_path_factory) -> Path:
    """A project with the archives of all packages, which the commands of the guides have made and installed."""
    folder = tmp_path_factory.mktemp("project")
    for path in (workspace / "tests" / "installed").iterdir():
        (folder / path.name).write_text(path.read_text())
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    # The fixture `workspace` has installed and built the packages, which is the first command of each guide.
    quick = {
        "npm_config_ignore_scripts": "true",
        "npm_config_legacy_peer_deps": "true",
        "npm_config_prefer_offline": "true",
    }
    for one in commands():
        assert one.text.startswith(BUILD)
        shell(workspace.parent, one.text.removeprefix(BUILD).replace(THERE, str(folder)), **quick)
    shell(workspace.parent, f"npm pack ./clients/next --pack-destination {folder}", **quick)
    shell(folder, f"npm install --no-audit --no-fund ./django-latchkey-next-*.tgz {' '.join(OTHERS)}", **quick)
    (folder / "node_modules" / "next").symlink_to(workspace / "node_modules" / "next")
    return folder


def shell(folder: Path, command: str, **environment: str) -> None:
    completed("bash", "-ec", command, cwd=folder, env={**os.environ, **environment})


def test_the_packages_are_imported_by_node_and_found_by_the_compiler(workspace, project):
    assert run(project, workspace / PROGRAMS / "tsc") == run(project, "node", "built/imports.mjs") == []


def test_the_code_of_the_guides_compiles(workspace, project):
    for one in programs():
        kind = "tsx" if one.language == "tsx" else one.language
        name = one.first.removeprefix("// ") if one.first.startswith("// ") else f"block.{kind}"
        path = project / "guides" / Path(one.page).with_suffix("").name / one.page.split("/")[1] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.text)
    assert run(project, workspace / PROGRAMS / "tsc", "--project", "tsconfig.guides.json") == []


def test_each_package_says_what_it_needs(workspace):
    """An archive has its licence, and all files that it exports."""
    for name in ("browser", "next", "react", "react-native"):
        package = json.loads((workspace / name / "package.json").read_text())
        assert (workspace / name / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
        assert {"license", "files", "exports", "sideEffects"} < package.keys()
        assert [one for one in package["devDependencies"].values() if not one[0].isdigit()] == []
        exported = [path for entry in package["exports"].values() for path in entry.values()]
        assert [path for path in exported if not (workspace / name / path).exists()] == []
