"""Write hubbub/server/access/confusable_letters.py: the letters of names that look the same.

The pairs come from the tables of Unicode UTS #39, as the package confusable_homoglyphs has them, and from letters that
show the same in a monospaced font, of which the tables miss some (U+04CF, which shows as `I` or `l`). To run it again:

    sudo apt-get install fonts-dejavu-core fonts-firacode fonts-freefont-ttf fonts-hack fonts-jetbrains-mono \
        fonts-liberation fonts-noto-mono
    python3 scripts/generate_confusables.py
"""

import sys
import textwrap
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from confusable_homoglyphs.confusables import confusables_data
from PIL import Image, ImageDraw, ImageFont

OUTPUT = Path(__file__).parent.parent / "hubbub" / "server" / "access" / "confusable_letters.py"
FONT_FOLDER = Path("/usr/share/fonts/truetype")
FONTS = (
    "dejavu/DejaVuSansMono.ttf",
    "firacode/FiraCode-Regular.ttf",
    "freefont/FreeMono.ttf",
    "hack/Hack-Regular.ttf",
    "jetbrains-mono/JetBrainsMono-Regular.ttf",
    "liberation/LiberationMono-Regular.ttf",
    "noto/NotoSansMono-Regular.ttf",
)
PIXELS = 64  # of the em: four times what a terminal shows, so a difference that counts is several pixels wide
CANVAS = 2 * PIXELS
SAME_INK = 0.9  # pairs with less ink in common are not compared further
DIRECTION_MARKS = "\u200e\u200f"  # around right-to-left letters in the tables; invisible

HEADER = '''"""The letters of names that look the same. Written by scripts/generate_confusables.py; do not edit.

A line has a prototype and the letters that look like it, all in hexadecimal. A prototype of several characters, as `rn`
for `m`, is joined with `+`.
"""

LOOKALIKES = """
'''


def can_occur(char: str) -> bool:
    """Return whether a name can contain `char` after normalisation (NFKC, then NFD)."""
    allowed = unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Mn", "Mc")
    return allowed and all(unicodedata.normalize(form, char) == char for form in ("NFKC", "NFD"))


def list_prototypes() -> dict[str, str]:
    """Return the prototype of each character in the tables of UTS #39.

    The package links every character with its prototype in both directions and does not say which one is the prototype.
    It is the one with more than one link; of two that have only each other, it is the longer one, then the one that
    sorts first.
    """
    links: defaultdict[str, set[str]] = defaultdict(set)
    for text, others in confusables_data.items():
        links[text.strip(DIRECTION_MARKS)].update(other["c"].strip(DIRECTION_MARKS) for other in others)
    prototypes = {}
    for char, others in links.items():
        if len(char) == 1 and len(others) == 1:
            (other,) = others
            if len(links[other]) > 1 or (-len(other), other) < (-1, char):
                prototypes[char] = unicodedata.normalize("NFD", other)
    return prototypes


def draw_letters(path: Path) -> dict[str, int]:
    """Return the pixels of every letter and digit that a font has, as the bits of a number."""
    font = ImageFont.truetype(str(path), PIXELS, layout_engine=ImageFont.Layout.BASIC)

    def draw(char: str) -> int:
        image = Image.new("1", (CANVAS, CANVAS))
        ImageDraw.Draw(image).text((PIXELS // 2, PIXELS * 3 // 2), char, font=font, fill=1, anchor="ls")
        return int.from_bytes(image.tobytes(), "big")

    not_shown = (0, draw("\U0010ffff"))  # the box for a letter that the font does not have
    letters = filter(can_occur, map(chr, range(sys.maxunicode)))
    drawn = {char: draw(char) for char in letters if not unicodedata.category(char).startswith("M")}
    return {char: pixels for char, pixels in drawn.items() if pixels not in not_shown}


def look_the_same(one: int, other: int) -> bool:
    """Return whether the pixels that differ are nowhere a square of 2 by 2: no dot, hook or stroke more."""
    if (one & other).bit_count() < SAME_INK * (one | other).bit_count():
        return False
    differing = one ^ other
    for shift in (1, CANVAS):
        differing &= differing >> shift
    return not differing


def list_font_pairs(pixels: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the letters of a font that look the same, the one with the lower number first."""
    by_ink = sorted(pixels, key=lambda char: pixels[char].bit_count())
    for position, char in enumerate(by_ink):
        most = pixels[char].bit_count() / SAME_INK
        for other in by_ink[position + 1 :]:
            if pixels[other].bit_count() > most:
                break
            if look_the_same(pixels[char], pixels[other]):
                yield min(char, other), max(char, other)


def find_skeleton(text: str, prototypes: dict[str, str]) -> str:
    """Return `text` with every character replaced by its prototype, until nothing changes."""
    while (mapped := unicodedata.normalize("NFD", "".join(prototypes.get(char, char) for char in text))) != text:
        text = mapped
    return text


def add_font_pairs(prototypes: dict[str, str], pairs: Iterable[tuple[str, str]]) -> int:
    """Give both letters of every pair the same skeleton; return how many had two.

    A letter without a prototype gets that of the other. Where both have one, the fonts decide: the letter with the
    higher number gets that of the lower one, and the classes of the two prototypes stay apart.
    """
    added = 0
    for lower, higher in pairs:
        one, other = find_skeleton(lower, prototypes), find_skeleton(higher, prototypes)
        if one == other:
            continue
        added += 1
        if one == lower and other != higher and not lower.isascii():
            prototypes[lower] = other
        else:
            prototypes[higher] = one
    return added


def write_table(prototypes: dict[str, str]) -> None:
    """Write the module with the letters by their skeletons."""
    letters = defaultdict(list)
    for char in sorted(filter(can_occur, prototypes)):
        if (skeleton := find_skeleton(char, prototypes)) != char:
            letters[skeleton].append(f"{ord(char):04x}")
    lines = []
    for skeleton, looking_alike in sorted(letters.items()):
        prototype = "+".join(f"{ord(char):04x}" for char in skeleton)
        lines += [f"{prototype} {line}" for line in textwrap.wrap(" ".join(looking_alike), 110 - len(prototype))]
    OUTPUT.write_text(HEADER + "\n".join(lines) + '\n"""\n', encoding="utf-8")


def main() -> None:
    """Write the table, and print what each font adds to it."""
    prototypes = list_prototypes()
    for font in FONTS:
        pixels = draw_letters(FONT_FOLDER / font)
        added = add_font_pairs(prototypes, sorted(list_font_pairs(pixels)))
        print(f"{font}: {len(pixels)} letters, {added} new pairs", flush=True)
    write_table(prototypes)


if __name__ == "__main__":
    main()
