"""Latchkey's sessions: access tokens in cookies, one-time refresh tokens as rows, and a middleware that refreshes.

Other apps import `sessions`, and `api.public` if they have endpoints of their own. Each package imports only those that
follow it in this list:

- `apps`, `checks`: what Django runs when it starts.
- `api`: the REST endpoints. `middleware`, `backends`, `admin`, `management`: what Django calls. `sockets`: web sockets.
  `monitoring`: metrics and health. `contrib`: adapters for other packages. `testing`: for the tests of a project.
- `sessions`: the public Python API.
- `web`: what a request brings, and what its response carries.
- `service`: what happens to sessions.
- `hashers`, `metrics`, `models`, `database`, `conf`: password hashers, counters, rows, SQL and settings.
- `protocol`: what a presented token is answered with. It is pure: it imports none of the others, and not Django.
"""

from pathlib import Path

# Modules that have moved are found in `deprecated/` under their old names, until the next release.
__path__.append(str(Path(__file__).parent / "deprecated"))
