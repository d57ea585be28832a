"""The screenshots, and how they are made small: a page has few colours, so a palette suffices (PNG section 11.2.2).

The input is a PNG as Chromium writes it: 8 bits each of red, green and blue, not interlaced. Rare colours are replaced
by the nearest of the common ones, which changes only the soft edges of letters.
"""

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SCREENSHOTS = Path(__file__).parent / "screenshots"
WANTED = "SCREENSHOTS" in os.environ
"""Whether this run takes the screenshots. Without it a run would change tracked files."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 64
_Pixel = tuple[int, ...]


def with_palette(png: bytes) -> bytes:
    """Return the same picture with at most `COLOURS` colours."""
    chunks = list(_chunks(png))
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if kind != [8, 2, 0, 0, 0]:
        raise ValueError("not a picture as Chromium writes it")
    rows = _rows(zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT")), width)
    pixels = [list(zip(row[::3], row[1::3], row[2::3], strict=True)) for row in rows]
    colours = [pixel for pixel, _ in Counter(pixel for row in pixels for pixel in row).most_common()]
    palette = colours[:COLOURS]
    numbers = {colour: min(range(len(palette)), key=lambda n: _distance(palette[n], colour)) for colour in colours}
    image = b"".join(b"\0" + bytes(numbers[pixel] for pixel in row) for row in pixels)
    return (
        SIGNATURE
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", b"".join(bytes(pixel) for pixel in palette))
        + _chunk(b"IDAT", zlib.compress(image, 9))
        + _chunk(b"IEND", b"")
    )


def _distance(one: _Pixel, other: _Pixel) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position < len(png):
        length, name = struct.unpack_from(">I4s", png, position)
        yield name, png[position + 8 : position + 8 + length]
        position += length + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _rows(image: bytes, width: int) -> Iterator[bytes]:
    """Yield the rows of a picture with three bytes a pixel, without their filters (PNG section 9)."""
    size = width * 3
    above = bytearray(size)
    for start in range(0, len(image), size + 1):
        row = bytearray(image[start + 1 : start + 1 + size])
        for at in range(size):
            left, up, both = (row[at - 3], above[at], above[at - 3]) if at > 2 else (0, above[at], 0)
            match image[start]:
                case 1:
                    row[at] = (row[at] + left) & 255
                case 2:
                    row[at] = (row[at] + up) & 255
                case 3:
                    row[at] = (row[at] + (left + up) // 2) & 255
                case 4:
                    row[at] = (row[at] + _paeth(left, up, both)) & 255
        yield bytes(row)
        above = row


def _paeth(left: int, up: int, both: int) -> int:
    guess = left + up - both
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - both), 2, both))[2]
