"""What a figure depends on, and whoever reads it should know: the machine, and the versions of what was run."""

import platform
import re
import subprocess
from importlib.metadata import version

import psutil

from tests.benchmarks.servers import Postgres

PACKAGES = (
    "Django",
    "djangorestframework",
    "granian",
    "psycopg",
    "djangorestframework-simplejwt",
    "django-rest-knox",
    "django-allauth",
    "django-jwt-allauth",
    "redis",
)


def machine(postgres: Postgres) -> dict[str, str | int]:
    [(postgresql,)] = postgres.ask("postgres", "SHOW server_version")
    text = subprocess.run(["redis-server", "--version"], capture_output=True, check=True, text=True).stdout
    return {
        "CPUs": psutil.cpu_count() or 0,
        "architecture": platform.machine(),
        "system": platform.system(),
        "Python": platform.python_version(),
        "PostgreSQL": postgresql,
        "Redis": re.findall(r"v=([\d.]+)", text)[0],
    }


def versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}
