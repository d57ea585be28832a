"""Write the pages. With ``--check``, write nothing, and fail if a page is not current."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from docs.generate.pages import pages  # noqa: E402

outdated = {path: text for path, text in pages().items() if path.read_text() != text}
for path, text in outdated.items():
    if "--check" not in sys.argv:
        path.write_text(text)
    sys.stdout.write(f"{path.name} was not current\n")
sys.exit(bool(outdated) and "--check" in sys.argv)
