"""The pictures in media/: `python3 -m benchmarks.plots FILE`, from `python3 -m benchmarks scaling --json FILE`."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator

from benchmarks.systems import ROOT

mpl.use("Agg")

# Okabe and Ito's colours, which are told apart with any colour vision, and a mark of its own for each; the width.
STYLES = {
    "ours": ("#0072b2", "o", 2.5),
    "floor": ("#666666", "s", 1.5),
    "ngircd": ("#d55e00", "^", 1.5),
    "inspircd": ("#009e73", "D", 1.5),
    "miniircd": ("#cc79a7", "v", 1.5),
    "irc": ("#e69f00", "P", 1.5),
    "classic": ("#56b4e9", "X", 1.5),
}
FEW_DECADES = 2.5  # of an axis: then 2 and 5 are marked as well
APART = 0.055  # of the height of the axes, between two labels
Lines = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: a metric of a series."""

    file: str
    series: str
    metric: str
    title: str
    x: str
    y: str
    of_all: bool = False  # times what the series is over: the metric is for one
    scale: float = 1.0
    load: float = math.inf  # of a core: where the load generator uses more, what it measures is itself

    def lines(self, told: dict[str, Any]) -> Lines:
        """Return the points of each server."""
        points = {system: self._points(metrics) for system, metrics in told["points"].items()}
        return {system: pairs for system, pairs in points.items() if pairs}

    def _points(self, metrics: dict[str, list[tuple[float, float]]]) -> list[tuple[float, float]]:
        used = dict(metrics.get("load_cpu_share", []))
        points = [(x, y) for x, y in metrics.get(self.metric, []) if y > 0 and used.get(x, 0.0) <= self.load]
        return [(x, y * self.scale * (x if self.of_all else 1)) for x, y in points]


PICTURES = (
    Picture(
        "deliveries.png",
        "flood-room",
        "deliveries_per_second",
        "Deliveries a second in one flooded room",
        "members of the room",
        "deliveries/s",
    ),
    Picture(
        "delay.png",
        "paced-load",
        "delay_p99_ms",
        "Delay in a room of 100, 99th percentile",
        "messages/s",
        "p99, ms",
        load=0.97,
    ),
    Picture(
        "memory.png",
        "clients",
        "memory_bytes_per_client",
        "Memory of clients who are there and silent",
        "clients",
        "MB",
        of_all=True,
        scale=1e-6,
    ),
)


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what the document has; return the files."""
    series = {told["name"]: told for told in document["series"]}
    origin = f"{document['date']}, {document['cores']} cores, Python {document['python']}: {document['command']}"
    wanted = [picture for picture in PICTURES if picture.series in series]
    for picture in wanted:
        _draw(picture, picture.lines(series[picture.series]), origin, folder / picture.file)
    return [folder / picture.file for picture in wanted]


def _draw(picture: Picture, lines: Lines, origin: str, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.8), dpi=150)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for system, points in lines.items():
        color, mark, width = STYLES[system]
        axes.plot(*zip(*points, strict=True), color=color, marker=mark, linewidth=width, markersize=6)
    axes.set_title(picture.title, loc="left", fontsize=13, fontweight="bold")
    axes.set_xlabel(picture.x, fontsize=11)
    axes.set_ylabel(picture.y, fontsize=11)
    axes.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if _decades(lines) < FEW_DECADES else (1,)))
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    axes.minorticks_off()
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.01, 0.01, origin, fontsize=7, color="#666666")
    figure.tight_layout(rect=(0, 0.03, 0.9, 1))
    _label(axes, lines)
    figure.savefig(path)
    plt.close(figure)


def _decades(lines: Lines) -> float:
    heights = [y for points in lines.values() for _, y in points]
    return math.log10(max(heights) / min(heights))


def _short(value: float) -> str:
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _label(axes: Any, lines: Lines) -> None:
    """Name each line at its end, none on top of another, legible where a line runs through it."""
    to_axes = axes.transData + axes.transAxes.inverted()
    lowest = -1.0
    for (x, y), system in sorted(
        ((to_axes.transform(points[-1]), system) for system, points in lines.items()), key=_height
    ):
        lowest = max(y, lowest + APART)
        axes.annotate(
            system,
            (x + 0.02, lowest),
            xycoords="axes fraction",
            annotation_clip=False,
            color=STYLES[system][0],
            va="center",
            fontsize=10,
            fontweight="bold" if system == "ours" else "normal",
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
        )


def _height(end: tuple[Any, str]) -> float:
    return float(end[0][1])


def main() -> int:
    """Draw from the file that the argument names, into media/ or the folder that a second one names."""
    if len(sys.argv) not in {2, 3}:
        print("usage: python3 -m benchmarks.plots RESULTS.json [FOLDER]")
        return 2
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    drawn = draw(document, Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "media")
    print("\n".join(map(str, drawn)) or "it has no series; python3 -m benchmarks scaling --json FILE makes them")
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
