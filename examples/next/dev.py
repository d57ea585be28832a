"""Starts the example in development: PostgreSQL, Latchkey and Next.js. Run it in a checkout of Latchkey.

    uv run python examples/next/dev.py

DATABASE_ADMIN_URL: a database of your own server, as a superuser. Without it a server is started, and deleted at the
end. PORT: of Next.js, by default 3000. LATCHKEY_PORT: by default 8000.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "clients" / "next"
sys.path.insert(0, str(ROOT))


def prepare_database(admin: str) -> None:
    """Create the roles and their schemas, if they do not exist yet."""
    with psycopg.connect(admin, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'shop'").fetchone():
            connection.execute((HERE / "database" / "roles.sql").read_text())


def as_role(admin: str, role: str) -> str:
    """Return the URL of the same database for another role. Locally it needs no password."""
    url = urlsplit(admin)
    return url._replace(netloc=f"{role}@{url.netloc.rpartition('@')[2]}").geturl()


def install_packages() -> None:
    """Pack the client for Next.js, and install what package.json names."""
    vendor = HERE / "vendor"
    vendor.mkdir(exist_ok=True)
    npm("pack", "--silent", f"--pack-destination={vendor}", folder=PACKAGE)
    newest = max(vendor.glob("django-latchkey-next-*.tgz"), key=lambda path: path.stat().st_mtime)
    newest.replace(vendor / "django-latchkey-next.tgz")
    # npm does not notice that the content of a file has changed.
    shutil.rmtree(HERE / "node_modules" / "django-latchkey-next", ignore_errors=True)
    npm("install", "--no-audit", "--no-fund", folder=HERE)


def npm(*arguments: str, folder: Path) -> None:
    subprocess.run(["npm", *arguments], cwd=folder, check=True)  # noqa: S603, S607


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    port, latchkey_port = os.environ.get("PORT", "3000"), os.environ.get("LATCHKEY_PORT", "8000")
    with ExitStack() as stack:
        admin = os.environ.get("DATABASE_ADMIN_URL", "")
        if not admin:
            from tests.postgresql import start_server

            admin, server = start_server()
            stack.callback(server.cleanup)
        prepare_database(admin)
        install_packages()
        common = {**os.environ, "ORIGIN": f"http://localhost:{port}"}
        # Latchkey's own command migrates its schema and creates the demo's accounts.
        latchkey = {**common, "DATABASE_URL": as_role(admin, "latchkey"), "TRUSTED_PROXIES": "127.0.0.1"}
        shop = {**common, "DATABASE_URL": as_role(admin, "shop"), "AUTH_SERVER": f"http://127.0.0.1:{latchkey_port}"}
        subprocess.run(["node", "migrate.mjs"], cwd=HERE, env=shop, check=True)  # noqa: S607
        demo = [sys.executable, "manage.py", "demo", "--port", latchkey_port]
        next_js = ["node", "node_modules/next/dist/bin/next", "dev", "--port", port]
        running = []
        for command, folder, env in ((demo, ROOT, latchkey), (next_js, HERE, shop)):
            running.append(subprocess.Popen(command, cwd=folder, env=env))  # noqa: S603
            stack.callback(running[-1].wait)
            stack.callback(running[-1].terminate)
        running[-1].wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
