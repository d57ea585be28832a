"""The documentation, as the tests read it: ``README.md`` and the pages in ``docs/``."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {
    path.relative_to(ROOT / "docs").as_posix(): path.read_text()
    for path in (ROOT / "docs").rglob("*.md")
    if "_build" not in path.parts
}
"""The text of each page by its path in ``docs/``."""
ALL = "\n".join([README, *(PAGES[path] for path in sorted(PAGES))])
"""The README and all pages as one text."""
