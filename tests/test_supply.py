"""What CI and the containers of `deploy/` run is what was tested, and a container can do only what it needs."""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ["deploy/requirements.txt", ".ci/requirements.txt", ".ci/uv.txt"]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
NETWORKS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["networks"]
NODES = {"a", "b"}


def text_of(path: str) -> str:
    return (ROOT / path).read_text()


def requirements(path: str) -> list[str]:
    """Return each requirement, with its hashes, as one line."""
    return text_of(path).replace("\\\n", "").splitlines()


def versions(lines: list[str]) -> set[str]:
    """Return the name and version of each requirement, without markers and hashes."""
    return {line.split()[0] for line in lines}


@pytest.mark.parametrize("path", REQUIREMENTS)
def test_every_requirement_has_a_version_and_hashes_and_names_no_host(path):
    one = re.compile(r"[a-z0-9-]+==[\w.]+( ; [\w<>=!.*' ]+)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in requirements(path) if not one.fullmatch(line)] == []


def test_the_requirements_are_those_of_the_project():
    project = tomllib.loads(text_of("pyproject.toml"))
    pins = versions(project["tool"]["uv"]["constraint-dependencies"])
    image, ci = (versions(requirements(path)) for path in REQUIREMENTS[:2])
    assert image < ci <= pins
    groups = project["dependency-groups"]
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    for needed, found in (
        ([*project["project"]["dependencies"], *extras, *groups["site"], *groups["server"]], image),
        ([line for line in groups["dev"] if isinstance(line, str)], ci),
    ):
        names = {line.partition("==")[0] for line in found} | {project["project"]["name"]}
        assert {re.split(r"[\[>=<]", line)[0] for line in needed} <= names


def test_the_project_itself_installs_every_extra():
    project = tomllib.loads(text_of("pyproject.toml"))
    own = [line for line in project["dependency-groups"]["site"] if line.startswith(project["project"]["name"])]
    (names,) = [re.search(r"\[(.+)\]", line) for line in own]
    assert names is not None
    assert names[1].split(",") == sorted(project["project"]["optional-dependencies"])
    assert project["tool"]["uv"]["default-groups"] == ["dev", "site"]


@pytest.mark.parametrize("path", [".ci/run", "deploy/Dockerfile"])
def test_packages_are_installed_by_their_hashes_only(path):
    commands = re.findall(r"^.*\b(?:pip install|pip sync|uv sync)\b.*$", text_of(path), re.MULTILINE)
    assert commands
    assert [line for line in commands if "--require-hashes --only-binary :all:" not in line] == []
    assert "uv run" not in text_of(path) or "export UV_NO_SYNC=1" in text_of(path)


def test_the_builder_gets_what_the_image_copies_and_nothing_else():
    copied = {line.split()[1] for line in text_of("deploy/Dockerfile").splitlines() if line.startswith("COPY")}
    first, *others = [line for line in text_of(".dockerignore").splitlines() if not line.startswith("#")]
    assert first == "*"
    assert {line.removeprefix("!") for line in others if line.startswith("!")} == copied
    assert "**/.env*" in others
    assert text_of("deploy/.dockerignore").splitlines()[1:] == ["*", "!pgbouncer*.template"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_only_what_it_needs(name):
    service = SERVICES[name]
    expected = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    assert service.items() >= expected.items()
    # nginx becomes another user by itself. The images of the project and of PgBouncer name one.
    own = {"CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"} if name == "nginx" else set()
    assert set(service.get("cap_add", [])) == own
    assert name == "nginx" or "build" in service or service["user"] in {"postgres", "redis"}


def test_the_images_of_the_project_and_of_pgbouncer_name_a_user():
    assert "\nUSER nobody\n" in text_of("deploy/Dockerfile")
    assert "\nUSER postgres\n" in SERVICES["pgbouncer"]["build"]["dockerfile_inline"]


def test_only_nginx_can_be_reached_and_the_databases_have_no_way_out():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert {name for name, service in SERVICES.items() if "public" in service["networks"]} == {"nginx", *NODES}
    assert NETWORKS["private"]["internal"] is True


def test_the_nodes_trust_the_address_of_nginx_and_no_other_container_can_get_it():
    address = SERVICES["nginx"]["networks"]["public"]["ipv4_address"]
    assert {SERVICES[node]["environment"]["TRUSTED_PROXIES"] for node in NODES} == {address}
    (network,) = NETWORKS["public"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
    assert ipaddress.ip_address(address) not in ipaddress.ip_network(network["ip_range"])


def test_redis_has_a_password_which_no_argument_contains():
    assert SERVICES["redis"]["environment"] == {"REDIS_PASSWORD": "${REDIS_PASSWORD:?}"}
    *shell, script = SERVICES["redis"]["command"]
    assert shell == ["sh", "-c"]
    assert "redis-server - " in script.splitlines()[0]
    assert script.splitlines()[1:] == ["requirepass $$REDIS_PASSWORD", "END"]
    assert {SERVICES[node]["environment"]["CACHE_URL"] for node in NODES} == {"redis://:${REDIS_PASSWORD:?}@redis:6379"}
