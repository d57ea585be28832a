"""A small project for each peer, set up as its authors advise and otherwise the same.

Most are projects on Django, in this package. The environment names the peer (``PROJECT``), its database
(``DATABASE_URL``; each peer has its own) and Redis (``REDIS_URL``). Variables ``TOKENS_…`` configure Latchkey only.
Without them its protocol has its default durations. ``better_auth`` is a project on Node.js, and ``glewlwyd`` are the
settings of a server.
"""


def environment_of(project: str) -> dict[str, str]:
    """Return the environment variables by which Django loads this one of the `projects`."""
    module = "latchkey" if project == "latchkey" else "settings"
    return {"PROJECT": project, "DJANGO_SETTINGS_MODULE": f"tests.benchmarks.projects.{module}"}
