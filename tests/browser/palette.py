"""The screenshots, and how they are made small: a page has few colours, so a palette suffices.

Taking screenshots needs Pillow, which comes with the benchmarks: ``uv sync --group benchmarks``.
"""

import os
from io import BytesIO
from pathlib import Path

SCREENSHOTS = Path(__file__).parent / "screenshots"
WANTED = "SCREENSHOTS" in os.environ
"""Whether this run takes the screenshots. Without it a run would change tracked files."""
COLOURS = 64


def with_palette(png: bytes) -> bytes:
    """Return the same picture with at most `COLOURS` colours. Only the soft edges of letters have others."""
    from PIL import Image

    picture, small = Image.open(BytesIO(png)).convert("RGB"), BytesIO()
    common = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in common for part in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
