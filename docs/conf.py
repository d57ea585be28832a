"""How Sphinx builds these pages: ``sphinx-build -W --keep-going -b html docs docs/_build``."""

project = "Latchkey"
author = "the Latchkey authors"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Latchkey"
myst_heading_anchors = 4  # Links to headings are those of GitHub. One that leads nowhere is a warning.
myst_fence_as_directive = ["mermaid"]
nitpicky = True
