"""The sentences that a reader judges come from every part of the documentation, and have no code."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.documents import ROOT
from tests.measures.sentences import collect, draw

PAGES = [path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]


def test_as_many_are_drawn_from_each_folder_and_the_same_by_the_same_seed():
    found = collect([*PAGES, Path("README.md")])
    assert set(found) == {
        "README",
        "docs",
        *(f"docs/{folder}" for folder in ("tutorial", "explanation", "reference")),
        "docs/how-to",
        "docs/how-to/moving",
    }
    drawn = draw(found, 7, 35)
    folders = Counter(Path(sentence.file).parent for sentence in drawn)
    assert (len(folders), set(folders.values())) == (len(found), {5})
    assert drawn == draw(found, 7, 35) != draw(found, 8, 35)


def test_a_sentence_has_no_code_and_no_address_of_a_link():
    found = collect([Path("docs/tutorial/sign-in.md")])["docs/tutorial"]
    opened = "it has written one row to its database, and has answered with cookies."
    assert f"The server has opened a session: {opened}" in found
    assert [text for text in found if "curl -sS" in text or "import json" in text or "](" in text] == []


def test_no_text_has_words_over_which_readers_have_stumbled():
    stumbled = re.compile(r"\b(who[e]ver|but f[o]r(?! example)|nobody is t[o]ld)\b", re.IGNORECASE)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    texts = [ROOT / name for name in listed.split("\0") if name.endswith((".py", ".md", ".html", ".ts"))]
    assert len(texts) > 1000
    assert [path for path in texts if path.exists() and stumbled.search(path.read_text())] == []
