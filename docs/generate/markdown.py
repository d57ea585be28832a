"""Tables and texts in Markdown."""

import re


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines) + "\n"


def prose(docstring: str) -> str:
    """Return a docstring as Markdown: with its code as blocks that are indented, and its terms as code."""
    text = re.sub(r"``(.+?)``", r"`\1`", docstring.strip())
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)
    return re.sub(r"\(PYTEST_DONT_REWRITE\)", "", text).rstrip()
