"""Plots as SVG, in a few lines of our own: axes, lines and dots, a legend."""

from html import escape
from itertools import chain
from math import floor, log10
from typing import Final

from benchmarks.rows import Plot

WIDTH: Final = 640
HEIGHT: Final = 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 36, 44
COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
TICKS: Final = 5


class Scale:
    """From values to pixels; from 0, or logarithmic where the values are all above it."""

    def __init__(self, values: list[float], pixels: tuple[float, float], *, is_log: bool) -> None:
        self.is_log = is_log and min(values) > 0
        self._from, self._to = (min(values), max(values)) if self.is_log else (0.0, _ceiling(max(values)))
        self._pixels = pixels

    def place(self, value: float) -> float:
        """Return where a value is."""
        low, high, here = self._measured(self._from), self._measured(self._to), self._measured(value)
        begin, end = self._pixels
        return begin + (here - low) / ((high - low) or 1) * (end - begin)

    def ticks(self) -> list[float]:
        """Return the values to write on the axis."""
        if self.is_log:
            return [10.0**power for power in range(floor(log10(self._from)), floor(log10(self._to)) + 1)]
        return [self._to * step / TICKS for step in range(TICKS + 1)]

    def _measured(self, value: float) -> float:
        return log10(value) if self.is_log else value


def draw(plot: Plot) -> str:
    """Return a plot as SVG."""
    points = list(chain.from_iterable(plot.series.values()))
    x = Scale([point[0] for point in points], (LEFT, WIDTH - RIGHT), is_log=plot.is_log_x)
    y = Scale([point[1] for point in points], (HEIGHT - BOTTOM, TOP), is_log=plot.is_log_y)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, plot.title, size=13),
        *_axes(plot, x, y),
    ]
    for number, (name, series) in enumerate(plot.series.items()):
        lines += _series(name, series, x, y, number)
    return "\n".join([*lines, "</svg>\n"])


def _axes(plot: Plot, x: Scale, y: Scale) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = [
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#444"/>',
        *(_text(x.place(tick), bottom + 16, f"{tick:g}", anchor="middle") for tick in x.ticks()),
    ]
    for tick in y.ticks():
        lines.append(_text(LEFT - 6, y.place(tick) + 4, f"{tick:.4g}", anchor="end"))
        lines.append(f'<path d="M{LEFT} {y.place(tick):.1f}H{right}" stroke="#ddd"/>')
    lines.append(_text((LEFT + right) / 2, HEIGHT - 8, plot.x, anchor="middle"))
    lines.append(_text(6, TOP - 6, plot.y))
    return lines


def _series(name: str, series: list[tuple[float, float]], x: Scale, y: Scale, number: int) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(x.place(one), y.place(other)) for one, other in series]
    path = " ".join(f"{one:.1f},{other:.1f}" for one, other in places)
    dots = places if len(places) <= 20 else []
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
        *(f'<circle cx="{one:.1f}" cy="{other:.1f}" r="2.5" fill="{colour}"/>' for one, other in dots),
        _text(WIDTH - RIGHT + 12, TOP + 12 + 16 * number, name, colour=colour),
    ]


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, colour: str = "#222"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def _ceiling(value: float) -> float:
    """Return the next round value: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
