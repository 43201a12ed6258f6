"""Draw media/colors.png: the twelve colours on terminals of four backgrounds, in the shades of hubbub/color.py.

Run it as `python3 media/draw_colors.py`; it needs Pillow.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))  # for `hubbub`: Python itself looks only in the folder of the script

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError:
    sys.exit("draw_colors.py needs Pillow; install it with: python3 -m pip install Pillow")

from hubbub.color import COLORS, RGB, Depth, choose_shades, contrast, display_name  # noqa: E402  # path set above

PICTURE = FOLDER / "colors.png"
FONT = "DejaVuSansMono.ttf"

# Pixels. The picture is shown at half its size, so that it stays sharp on fine screens.
TEXT_SIZE = 34
ROW = 62
WIDTH = 780  # of one terminal
MARGIN = 40  # around the terminals and between them
PADDING = 44  # from a terminal's edge to its text
TITLE_BAR = 68
CORNER = 20
TILE = (96, 38)
NAME_AT = 236  # from a terminal's left edge
CONTRAST_AT = 540
COLUMNS = 2  # terminals side by side

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAGE_BACKGROUND = (142, 148, 160)
DOTS: tuple[RGB, ...] = ((237, 106, 94), (245, 191, 79), (98, 197, 84))


@dataclass(frozen=True, slots=True)
class Terminal:
    """The look of one terminal."""

    title: str
    background: RGB
    bar: RGB
    foreground: RGB  # of text without a colour


TERMINALS = (
    Terminal("black", background=(0, 0, 0), bar=(48, 50, 56), foreground=(150, 150, 150)),
    Terminal("white", background=(255, 255, 255), bar=(226, 228, 232), foreground=(105, 105, 105)),
    Terminal("solarized dark", background=(0x00, 0x2B, 0x36), bar=(0x07, 0x36, 0x42), foreground=(0x93, 0xA1, 0xA1)),
    Terminal("solarized light", background=(0xFD, 0xF6, 0xE3), bar=(0xEE, 0xE8, 0xD5), foreground=(0x58, 0x6E, 0x75)),
)
HEIGHT = TITLE_BAR + PADDING + len(COLORS) * ROW


def load_font() -> Font:
    """Return the font of the picture: DejaVu Sans Mono, or the one that Pillow brings."""
    try:
        return ImageFont.truetype(FONT, TEXT_SIZE)
    except OSError:
        return ImageFont.load_default(TEXT_SIZE)


def draw_picture() -> Image.Image:
    """Return the picture: the terminals in rows of COLUMNS."""
    rows = len(TERMINALS) // COLUMNS
    size = (MARGIN + COLUMNS * (WIDTH + MARGIN), MARGIN + rows * (HEIGHT + MARGIN))
    picture = Image.new("RGB", size, PAGE_BACKGROUND)
    draw = ImageDraw.Draw(picture)
    font = load_font()
    for place, terminal in enumerate(TERMINALS):
        row, column = divmod(place, COLUMNS)
        draw_terminal(draw, font, terminal, (MARGIN + column * (WIDTH + MARGIN), MARGIN + row * (HEIGHT + MARGIN)))
    return picture


def draw_terminal(draw: ImageDraw.ImageDraw, font: Font, terminal: Terminal, corner: tuple[int, int]) -> None:
    """Draw one terminal with its title and a row for each colour."""
    left, top = corner
    draw.rounded_rectangle((left, top, left + WIDTH, top + HEIGHT), CORNER, fill=terminal.background)
    draw_title_bar(draw, font, terminal, corner)
    shown = choose_shades(terminal.background, Depth.TRUE_COLOR)
    first = top + TITLE_BAR + PADDING // 2 + ROW // 2
    for row, name in enumerate(COLORS):
        draw_row(draw, font, terminal, (left, first + row * ROW), f"{row + 1:2}", name, shown[name].rgb)


def draw_title_bar(draw: ImageDraw.ImageDraw, font: Font, terminal: Terminal, corner: tuple[int, int]) -> None:
    """Draw the bar on top of a terminal: three dots and the title."""
    left, top = corner
    bar = (left, top, left + WIDTH, top + TITLE_BAR)
    draw.rounded_rectangle(bar, CORNER, fill=terminal.bar, corners=(True, True, False, False))
    middle = top + TITLE_BAR // 2
    for place, dot in enumerate(DOTS):
        draw.circle((left + PADDING + place * 36, middle), 11, fill=dot)
    draw.text((left + WIDTH // 2, middle), terminal.title, fill=terminal.foreground, font=font, anchor="mm")


def draw_row(
    draw: ImageDraw.ImageDraw,
    font: Font,
    terminal: Terminal,
    at: tuple[int, int],
    number: str,
    name: str,
    shade: RGB,
) -> None:
    """Draw one colour with the middle of its row's left end at `at`: number, tile, name in its shade, contrast."""
    left, middle = at
    draw.text((left + PADDING, middle), number, fill=terminal.foreground, font=font, anchor="lm")
    x, y = left + PADDING + 68, middle - TILE[1] // 2
    draw.rounded_rectangle((x, y, x + TILE[0], y + TILE[1]), 8, fill=shade)
    draw.text((left + NAME_AT, middle), display_name(name), fill=shade, font=font, anchor="lm")
    # Rounded down, so that a contrast shown as 4.5 is at least 4.5.
    ratio = f"{math.floor(10 * contrast(shade, terminal.background)) / 10:4.1f} : 1"
    draw.text((left + CONTRAST_AT, middle), ratio, fill=terminal.foreground, font=font, anchor="lm")


if __name__ == "__main__":
    draw_picture().save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE}\n")
