"""Draw sentences at random from the project's texts, so that a reader can judge each of them without its context.

    python -m tests.measures.sentences --seed 1 --count 40 --with-places

The same number of sentences is drawn from each kind of text, as far as the kind has enough. Each folder of docs/ is a
kind. ``--kind docs`` draws from docs/ and its folders only. The same seed draws the same sentences from the same texts.
Code and sentences of fewer than four words are left out.
"""

import argparse
import ast
import io
import random
import re
import subprocess
import textwrap
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

PAGES = {
    "README.md": "README",
    "CONTRIBUTING.md": "CONTRIBUTING",
    "SECURITY.md": "SECURITY",
    "CHANGELOG.md": "CHANGELOG",
}
DOCS = "docs"
SCRIPTS = {".js", ".mjs", ".ts", ".tsx", ".css"}
LEAST_WORDS = 4
PARAGRAPH = "\f"
"""What stands for a tag of a template: a paragraph ends there, but not the line."""

WORD = re.compile(r"[^\W\d_]+")
END_OF_SENTENCE = re.compile(r"(?<=[.!?])[\"'”)»`*]*\s+(?=[\"'“(`*_{]*[A-Z_{`])")
LINK = re.compile(r"!?\[([^\]]+)\]\([^)]+\)")
MARK_OF_ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.|#+|>)\s+")
DIRECTIVE = re.compile(r"^(?:noqa|type:|pragma|fmt:|!/|eslint|@ts-)")
NO_PROSE = re.compile(
    r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|WHERE|PRAGMA|LOCAL)\b.*[A-Z(]|===|---|&&|=>|\w=\S|[{;]$"
)
TRANSLATED = re.compile(r"""\{% translate\s+(?:"([^"]*)"|'([^']*)')[^%]*%\}|\{% (?:end)?blocktranslate[^%]*%\}""")
INLINE_TAG = re.compile(r"</?(?:a|abbr|b|code|em|i|kbd|span|strong|time)\b[^>]*>")
HIDDEN = re.compile(r"<(style|script)\b.*?</\1>|<!--.*?-->|\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", re.DOTALL)


class Text(NamedTuple):
    """A text as it stands in a file; ``line`` is its first line."""

    kind: str
    file: str
    line: int
    text: str


class Sentence(NamedTuple):
    """One sentence; ``line`` is the first line of the paragraph that contains it."""

    text: str
    file: str
    line: int


def texts(file: Path) -> Iterator[Text]:
    """Yield the texts of a file, each with its kind."""
    name = file.as_posix()
    source = file.read_text(errors="replace")
    in_tests = " of tests" if file.parts[0] == "tests" else ""
    if name in PAGES or (file.parts[0] == DOCS and file.suffix == ".md"):
        yield Text(PAGES.get(name) or file.parent.as_posix(), name, 1, source)
    elif file.suffix == ".py":
        yield from _of_python(name, source, in_tests)
    elif file.parts[0] == "deploy":
        yield from (Text("deploy", name, *comment) for comment in _blocks(_hash_comments(source)))
    elif file.suffix in SCRIPTS:
        yield from (Text(f"comments{in_tests}", name, *comment) for comment in _blocks(_slash_comments(source)))
    elif "templates" in file.parts and file.suffix in {".html", ".txt"} and not in_tests:
        yield Text("mails" if "mail" in file.parts else "templates", name, 1, _visible(source))


def _of_python(name: str, source: str, in_tests: str) -> Iterator[Text]:
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) in alone:
            yield Text(f"docstrings{in_tests}", name, node.lineno, node.value)
        elif (text := _literal(node)) and id(node) not in parts and not in_tests:
            yield Text("messages", name, getattr(node, "lineno", 1), text)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = (
        (token.start[0], token.line[: token.start[1]].strip(), token.string[1:])
        for token in tokens
        if token.type == tokenize.COMMENT
    )
    yield from (Text(f"comments{in_tests}", name, *comment) for comment in _blocks(comments))


def _literal(node: ast.AST) -> str:
    """Return the text of a string or formatted string, and an empty text for any other node."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) or "{…}" for part in node.values)
    return ""


def _hash_comments(source: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        if found := re.match(r"^([^#\"']*?)#+ (.*)", line):
            yield number, found[1].strip(), found[2]


def _slash_comments(source: str) -> Iterator[tuple[int, str, str]]:
    for found in re.finditer(r"^([^/\n]*\s)?// ?(.*)$|^\s*/\*((?:.|\n)*?)\*/", source, re.MULTILINE):
        line = source.count("\n", 0, found.start()) + 1
        if found[3] is None:
            yield line, (found[1] or "").strip(), found[2]
        else:
            yield line, "a block", re.sub(r"^\s*\*", "", found[3], flags=re.MULTILINE)


def _blocks(comments: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str]]:
    """Join comments on consecutive lines. Each comes with its line and with the code before it on that line."""
    first, last, block = 0, 0, ""
    for line, code, comment in comments:
        if not code and line == last + 1:
            block += f"\n{comment}"
        else:
            yield first, block
            first, block = line, comment
        last = line if not code else 0
    yield first, block


def _visible(template: str) -> str:
    """Return what a page or mail shows; a placeholder of the template stays as it is."""
    text = HIDDEN.sub(lambda found: "\n" * found[0].count("\n"), template)
    text = TRANSLATED.sub(lambda found: found[1] or found[2] or "", text)
    text = re.sub(r"\{%.*?%\}", PARAGRAPH, INLINE_TAG.sub("", text))
    return re.sub(r"<[^>]*>", PARAGRAPH, text)


def sentences(text: Text) -> Iterator[Sentence]:
    """Yield the sentences of a text, without its code and its short sentences."""
    for line, paragraph in _paragraphs(text):
        paragraph = LINK.sub(r"\1", paragraph)
        for sentence in END_OF_SENTENCE.split(" ".join(paragraph.split())):
            if _is_prose(sentence):
                yield Sentence(sentence.strip(), text.file, text.line + line)


def _paragraphs(text: Text) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, items of lists and cells of tables, each with the number of lines before it."""
    is_markdown = text.kind in PAGES.values() or text.kind.startswith(DOCS)
    is_template = text.kind in {"templates", "mails"}
    first, paragraph, in_code = 0, "", False
    for number, line in _lines(text.text):
        bare = line.strip()
        in_code ^= bare.startswith("```")
        is_code = in_code or bare.startswith("```") or "    " in bare or re.fullmatch(r"[-=~| :]*", bare)
        is_code = is_code or (line.startswith("    ") and not paragraph and not is_template)
        starts = is_code or MARK_OF_ITEM.match(line) or (is_markdown and bare.startswith("|"))
        if starts and paragraph:
            yield first, paragraph
        if starts:
            paragraph = ""
        if is_code:
            continue
        if is_markdown and bare.startswith("|"):
            yield from ((number, cell) for cell in re.split(r"(?<!\\)\|", bare))
            continue
        first = first if paragraph else number
        paragraph += f" {MARK_OF_ITEM.sub('', bare)}"
    yield first, paragraph


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines, numbered from 0, without the indentation that all lines but the first have in common."""
    first, newline, rest = text.partition("\n")
    for number, line in enumerate((first.strip() + newline + textwrap.dedent(rest)).split("\n")):
        start, *others = line.split(PARAGRAPH)
        yield number, start
        for other in others:
            yield number, ""
            yield number, other


def _is_prose(sentence: str) -> bool:
    """Return whether a text has enough words beside its code and placeholders, and few marks that only code has."""
    text = re.sub(r"`[^`]*`|\{\{.*?\}\}|\{…\}|https?://\S+", "…", sentence)
    prose_marks = sum(mark.isalpha() or mark in " ,.'’“”:;-…" for mark in text)
    return (
        sum(bool(WORD.search(word)) for word in text.split()) >= LEAST_WORDS
        and prose_marks >= 0.85 * len(text)
        and not NO_PROSE.search(text)
        and not DIRECTIVE.match(text)
    )


def collect(files: Iterable[Path]) -> dict[str, dict[str, Sentence]]:
    """Return the sentences of these files by the kind of their text, and then by their own text."""
    by_kind: dict[str, dict[str, Sentence]] = defaultdict(dict)
    for file in files:
        for text in texts(file):
            by_kind[text.kind] |= {sentence.text: sentence for sentence in sentences(text)}
    return by_kind


def draw(by_kind: Mapping[str, Mapping[str, Sentence]], seed: int, count: int) -> list[Sentence]:
    """Return sentences of all kinds, in random order."""
    chance = random.Random(seed)  # noqa: S311
    shuffled = [chance.sample(list(found.values()), len(found)) for _, found in sorted(by_kind.items())]
    one_of_each = chain.from_iterable(zip_longest(*shuffled))
    drawn = list(islice(filter(None, one_of_each), count))
    return chance.sample(drawn, len(drawn))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="another seed draws other sentences; default: 1")
    parser.add_argument("--count", type=int, default=40, help="how many sentences are drawn; default: 40")
    parser.add_argument("--kind", default="", help="a kind, with the folders below it; default: all kinds")
    parser.add_argument("--with-places", action="store_true", help="print file and line of each sentence, too")
    options = parser.parse_args()
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    files = (Path(name) for name in listed.split("\0") if name and "migrations" not in name)
    found = collect(file for file in files if file.is_file())
    wanted = {kind: found[kind] for kind in found if f"{kind}/".startswith(f"{options.kind}/") or not options.kind}
    for number, sentence in enumerate(draw(wanted, options.seed, options.count), 1):
        place = f"    {sentence.file}:{sentence.line}" if options.with_places else ""
        print(f"{number:3}. {sentence.text}{place}")


if __name__ == "__main__":
    main()
