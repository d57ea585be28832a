"""The npm packages: their types agree with the API's description, and their archives work in an empty project."""

import json
import subprocess
from pathlib import Path
from shutil import copytree

import pytest


def run(folder: Path, *command: str | Path) -> list[str]:
    """Run a program, and return the lines that it prints if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


@pytest.fixture
def description(client) -> dict:
    """The description that the server gives."""
    return json.loads(client.get("/api/schema", headers={"Accept": "application/json"}).content)


def disagreements(workspace: Path, folder: Path, description: dict) -> list[str]:
    """Return what the compiler says about the packages' types and this description."""
    programs = workspace / "node_modules" / ".bin"
    copytree(workspace / "tests" / "schema", folder / "schema")
    (folder / "node_modules").symlink_to(workspace / "node_modules")
    (folder / "schema.json").write_text(json.dumps(description))
    output = folder / "schema" / "schema.d.ts"
    assert run(folder, programs / "openapi-typescript", "schema.json", "--output", output) == []
    return run(folder, programs / "tsc", "--project", "schema")


def test_the_types_of_the_packages_are_those_of_the_description(workspace, description, tmp_path):
    assert disagreements(workspace, tmp_path, description) == []


def test_a_description_that_has_changed_is_noticed(workspace, description, tmp_path):
    schemas = description["components"]["schemas"]
    schemas["CodeEnum"]["enum"].remove("throttled")
    schemas["UserOutput"]["properties"]["name"] = {"type": "string"}
    schemas["UserOutput"]["required"].append("name")
    found = "\n".join(disagreements(workspace, tmp_path, description))
    assert found.count("Type 'true' is not assignable to type 'false'") == 5, found
