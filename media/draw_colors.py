"""Draws media/colors2.png, the twelve colours on a black and on a white terminal, from the table in color.py.

Run it as `python3 media/draw_colors.py`; it needs Pillow.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # where color.py is: the script's own folder is all that Python looks in

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError:
    sys.exit("draw_colors.py needs Pillow; install it with: python3 -m pip install Pillow")

from color import COLORS, Color, label, rgb  # noqa: E402  # found through the path above

PICTURE = HERE / "colors2.png"
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
CODE_AT = 540

Rgb = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

DESK = (142, 148, 160)
DOTS: tuple[Rgb, ...] = ((237, 106, 94), (245, 191, 79), (98, 197, 84))


@dataclass(frozen=True, slots=True)
class Terminal:
    """How one of the two terminals looks."""

    title: str
    paper: Rgb
    bar: Rgb
    ink: Rgb  # of what has no colour of its own


TERMINALS = (
    Terminal("black terminal", paper=(0, 0, 0), bar=(48, 50, 56), ink=(150, 150, 150)),
    Terminal("white terminal", paper=(255, 255, 255), bar=(226, 228, 232), ink=(105, 105, 105)),
)
HEIGHT = TITLE_BAR + PADDING + len(COLORS) * ROW


def load_font() -> Font:
    """Return the font of the picture: DejaVu Sans Mono, or the one that Pillow brings."""
    try:
        return ImageFont.truetype(FONT, TEXT_SIZE)
    except OSError:
        return ImageFont.load_default(TEXT_SIZE)


def draw_picture() -> Image.Image:
    """Return the picture: both terminals side by side."""
    size = (MARGIN + len(TERMINALS) * (WIDTH + MARGIN), HEIGHT + 2 * MARGIN)
    picture = Image.new("RGB", size, DESK)
    draw = ImageDraw.Draw(picture)
    font = load_font()
    for place, terminal in enumerate(TERMINALS):
        draw_terminal(draw, font, terminal, MARGIN + place * (WIDTH + MARGIN))
    return picture


def draw_terminal(draw: ImageDraw.ImageDraw, font: Font, terminal: Terminal, left: int) -> None:
    """Draw one terminal with its title and a row for each colour."""
    box = (left, MARGIN, left + WIDTH, MARGIN + HEIGHT)
    draw.rounded_rectangle(box, CORNER, fill=terminal.paper)
    draw_title_bar(draw, font, terminal, left)
    first = MARGIN + TITLE_BAR + PADDING // 2 + ROW // 2
    for row, (name, color) in enumerate(COLORS.items()):
        draw_row(draw, font, terminal, (left, first + row * ROW), f"{row + 1:2}", name, color)


def draw_title_bar(draw: ImageDraw.ImageDraw, font: Font, terminal: Terminal, left: int) -> None:
    """Draw the bar on top of a terminal: three dots and the title."""
    bar = (left, MARGIN, left + WIDTH, MARGIN + TITLE_BAR)
    draw.rounded_rectangle(bar, CORNER, fill=terminal.bar, corners=(True, True, False, False))
    middle = MARGIN + TITLE_BAR // 2
    for place, dot in enumerate(DOTS):
        draw.circle((left + PADDING + place * 36, middle), 11, fill=dot)
    draw.text((left + WIDTH // 2, middle), terminal.title, fill=terminal.ink, font=font, anchor="mm")


def draw_row(
    draw: ImageDraw.ImageDraw,
    font: Font,
    terminal: Terminal,
    at: tuple[int, int],
    number: str,
    name: str,
    color: Color,
) -> None:
    """Draw one colour, the middle of its row's left end at `at`: number, tile, name as it is painted, palette code."""
    left, middle = at
    draw.text((left + PADDING, middle), number, fill=terminal.ink, font=font, anchor="lm")
    draw_tile(draw, (left + PADDING + 68, middle - TILE[1] // 2), color)
    draw_name(draw, font, (left + NAME_AT, middle), label(name), color)
    draw.text((left + CODE_AT, middle), f"code {color.code:3}", fill=terminal.ink, font=font, anchor="lm")


def draw_tile(draw: ImageDraw.ImageDraw, corner: tuple[int, int], color: Color) -> None:
    """Draw a patch of the colour, framed by its background if it has one."""
    x, y = corner
    frame = color.rgb if color.background is None else rgb(color.background)
    draw.rounded_rectangle((x, y, x + TILE[0], y + TILE[1]), 8, fill=color.rgb, outline=frame, width=4)


def draw_name(draw: ImageDraw.ImageDraw, font: Font, at: tuple[int, int], text: str, color: Color) -> None:
    """Write the name as a terminal does: its letters in the colour, the cells behind them in the background."""
    if color.background is not None:
        x, y = at
        cells = (x, y - ROW // 2 + 10, x + font.getlength(text), y + ROW // 2 - 10)
        draw.rectangle(cells, fill=rgb(color.background))
    draw.text(at, text, fill=color.rgb, font=font, anchor="lm")


if __name__ == "__main__":
    draw_picture().save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE}\n")
