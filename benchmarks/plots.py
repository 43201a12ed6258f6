"""The plots in media/: `python3 -m benchmarks.plots FILE`, from `python3 -m benchmarks scaling --json FILE`."""

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

# Colour, marker and line width. The colours are Okabe and Ito's, which differ for every kind of colour vision.
STYLES = {
    "ours": ("#0072b2", "o", 2.5),
    "baseline": ("#666666", "s", 1.5),
    "ngircd": ("#d55e00", "^", 1.5),
    "inspircd": ("#009e73", "D", 1.5),
    "miniircd": ("#cc79a7", "v", 1.5),
    "irc": ("#e69f00", "P", 1.5),
    "naive": ("#56b4e9", "X", 1.5),
}
FEW_DECADES = 2.5  # of an axis with fewer, 2 and 5 are labelled as well
LABEL_DISTANCE = 0.055  # at least, of the height of the axes
Lines = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Plot:
    """One file: a metric of a series."""

    file: str
    series: str
    metric: str
    title: str
    x: str
    y: str
    per_client: bool = False  # the metric is for one client; the plot shows all of them
    scale: float = 1.0
    max_load: float = math.inf  # CPU share of the load generator; points above it measure the generator itself

    def lines(self, summary: dict[str, Any]) -> Lines:
        """Return the points of each system."""
        points = {system: self._points(metrics) for system, metrics in summary["points"].items()}
        return {system: pairs for system, pairs in points.items() if pairs}

    def _points(self, metrics: dict[str, list[tuple[float, float]]]) -> list[tuple[float, float]]:
        used = dict(metrics.get("load_cpu_share", []))
        points = [(x, y) for x, y in metrics.get(self.metric, []) if y > 0 and used.get(x, 0.0) <= self.max_load]
        return [(x, y * self.scale * (x if self.per_client else 1)) for x, y in points]


PLOTS = (
    Plot(
        "deliveries.png",
        "flood-room",
        "deliveries_per_second",
        "Deliveries a second in one flooded room",
        "members of the room",
        "deliveries/s",
    ),
    Plot(
        "delay.png",
        "paced-load",
        "delay_p99_ms",
        "Delay in a room of 100, 99th percentile",
        "messages/s",
        "p99, ms",
        max_load=0.97,
    ),
    Plot(
        "memory.png",
        "clients",
        "memory_bytes_per_client",
        "Memory of silent clients",
        "clients",
        "MB",
        per_client=True,
        scale=1e-6,
    ),
)


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Draw the plots whose series the document has; return the files."""
    series = {summary["name"]: summary for summary in document["series"]}
    origin = f"{document['date']}, {document['cores']} cores, Python {document['python']}: {document['command']}"
    wanted = [plot for plot in PLOTS if plot.series in series]
    for plot in wanted:
        _draw(plot, plot.lines(series[plot.series]), origin, folder / plot.file)
    return [folder / plot.file for plot in wanted]


def _draw(plot: Plot, lines: Lines, origin: str, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.8), dpi=150)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for system, points in lines.items():
        color, mark, width = STYLES[system]
        axes.plot(*zip(*points, strict=True), color=color, marker=mark, linewidth=width, markersize=6)
    axes.set_title(plot.title, loc="left", fontsize=13, fontweight="bold")
    axes.set_xlabel(plot.x, fontsize=11)
    axes.set_ylabel(plot.y, fontsize=11)
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
    """Write the name of each line at its end; labels do not overlap and stay legible on a line."""
    to_axes = axes.transData + axes.transAxes.inverted()
    lowest = -1.0
    for (x, y), system in sorted(
        ((to_axes.transform(points[-1]), system) for system, points in lines.items()), key=_height
    ):
        lowest = max(y, lowest + LABEL_DISTANCE)
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
    """Draw from the file in the first argument, into media/ or the folder in the second one."""
    if len(sys.argv) not in {2, 3}:
        print("usage: python3 -m benchmarks.plots RESULTS.json [FOLDER]")
        return 2
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    drawn = draw(document, Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "media")
    print(
        "\n".join(map(str, drawn)) or "no series in the file; create it with: python3 -m benchmarks scaling --json FILE"
    )
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
