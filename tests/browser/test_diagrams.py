"""The diagrams of the documentation are ones that Mermaid can draw."""

import pytest

from tests.browser.nextjs.fresh import npm
from tests.docs.blocks import Block, all_blocks

MERMAID = "mermaid@11"


def runs_blocks() -> list[Block]:
    return [block for block in all_blocks() if block.language == "mermaid"]


@pytest.mark.exhaustive
def test_mermaid_reads_each_diagram(tmp_path, new_context):
    npm("npm", "install", "--no-audit", "--no-fund", MERMAID, folder=tmp_path)
    page = new_context().new_page()
    page.add_script_tag(path=tmp_path / "node_modules" / "mermaid" / "dist" / "mermaid.min.js")
    for block in runs_blocks():
        found = page.evaluate("text => mermaid.parse(text)", block.text)
        assert found["diagramType"] == "sequence", block
    assert page.evaluate("mermaid.parse('sequenceDiagram\\n nonsense', {suppressErrors: true})") is False
