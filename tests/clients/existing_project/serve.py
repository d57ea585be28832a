"""Serves the project on a free port, in threads, and prints the port.

Each line of standard input is a JSON string with Python code. The code is run with Django set up, and its variable
``result`` is printed as JSON. The server stops when standard input ends.
"""

import json
import os
import sys
import threading
import traceback

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402


class Handler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Log nothing: the tests read the answers."""


server = ThreadedWSGIServer(("127.0.0.1", 0), Handler, ipv6=False)
server.daemon_threads = True
server.set_app(WSGIHandler())
threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
print(server.server_port, flush=True)  # noqa: T201
for line in sys.stdin:
    names: dict[str, object] = {"result": None}
    try:
        exec(json.loads(line), names)  # noqa: S102
        answer = {"result": names["result"]}
    except Exception:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer, default=str), flush=True)  # noqa: T201
