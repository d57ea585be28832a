"""This project: settings, URLs, and the entry points of WSGI and ASGI. `demo` is for development only."""

from pathlib import Path

# Modules that have moved are found in `deprecated/` under their old names, until the next release.
__path__.append(str(Path(__file__).parent / "deprecated"))
