# SPDX-License-Identifier: Apache-2.0
"""Draws and reads the burnt-in clock of docs/test-pattern.md: 2 rows of 24 cells in the top 2/18 of the picture."""
import time

import numpy

COLUMNS, ROWS, ROWS_PER_HEIGHT = 24, 2, 18
MARKERS = (0b1010, 0b0101)
MINIMUM_CONTRAST = 48


def now():
    """The value of this moment: milliseconds since 1970 modulo 2^32."""
    return time.time_ns() // 1_000_000 & 0xFFFFFFFF


def checksum(value):
    """CRC-8, polynomial 0x07, initial value 0xFF, over the 4 bytes big-endian."""
    crc = 0xFF
    for byte in value.to_bytes(4, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def rows(value):
    check = checksum(value)
    return (MARKERS[0] << 20 | (value >> 16) << 4 | check >> 4, MARKERS[1] << 20 | (value & 0xFFFF) << 4 | check & 0x0F)


def draw(luma, value):
    """Paints the strip into a picture of luma values (height × width, uint8; 16 = black, 235 = white)."""
    height, width = luma.shape[:2]
    for row, bits in enumerate(rows(value)):
        top, bottom = row * height // ROWS_PER_HEIGHT, (row + 1) * height // ROWS_PER_HEIGHT
        for column in range(COLUMNS):
            left, right = column * width // COLUMNS, (column + 1) * width // COLUMNS
            luma[top:bottom, left:right] = 235 if bits >> (COLUMNS - 1 - column) & 1 else 16


def _middle(index, count, length):
    start = (4 * index + 1) * length // (4 * count)
    return start, max(start + 1, (4 * index + 3) * length // (4 * count))


def read(luma):
    """The value in the picture, or None."""
    height, width = luma.shape[:2]
    levels = numpy.zeros((ROWS, COLUMNS))
    for row in range(ROWS):
        top, bottom = _middle(row, ROWS_PER_HEIGHT, height)
        for column in range(COLUMNS):
            left, right = _middle(column, COLUMNS, width)
            levels[row, column] = luma[top:bottom, left:right].mean()
    marker = numpy.array([[MARKERS[row] >> (3 - column) & 1 for column in range(4)] for row in range(ROWS)], dtype=bool)
    white, black = levels[:, :4][marker].mean(), levels[:, :4][~marker].mean()
    if white - black < MINIMUM_CONTRAST:
        return None
    cells = levels > (white + black) / 2
    words = [int("".join("1" if cell else "0" for cell in row), 2) for row in cells]
    if any(words[row] >> 20 != MARKERS[row] for row in range(ROWS)):
        return None
    value = (words[0] >> 4 & 0xFFFF) << 16 | words[1] >> 4 & 0xFFFF
    return value if checksum(value) == (words[0] & 0x0F) << 4 | words[1] & 0x0F else None
