"""A drawing area with an axis of time, or of shares: scales, grid, bars and lines as SVG elements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pulumi_nodepools.reporting.figures import percent, step_for
from pulumi_nodepools.reporting.markup import Child, el, number
from pulumi_nodepools.units import duration

WIDTH = 1000.0
_RIGHT, _TOP, _BOTTOM = 16.0, 10.0, 26.0


@dataclass(frozen=True)
class Plot:
    """Time from 0 to `seconds` goes right; values from 0 to `top` go up. Sizes in SVG units.

    With `shares` it is not time that goes right, but shares from 0 to `seconds`, written in per cent.
    """

    seconds: float
    height: float
    top: float = 1.0
    left: float = 44.0
    shares: bool = False

    def x(self, at: float) -> float:
        """Where a moment is."""
        share = min(max(at / self.seconds, 0.0), 1.0) if self.seconds else 0.0
        return self.left + share * (WIDTH - self.left - _RIGHT)

    def y(self, value: float) -> float:
        """Where a value is."""
        return _TOP + self.height * (1 - value / self.top)

    def svg(self, label: str, *content: Child) -> Element:
        """The drawing, with its lower axis; `label` is what it shows, for those who do not see it."""
        total = _TOP + self.height + _BOTTOM
        attributes = {"viewBox": f"0 0 {number(WIDTH)} {number(total)}", "aria-label": label, "role": "img"}
        element = el("svg", self._axis(), *content)
        for key, value in attributes.items():
            element.set(key, value)
        return element

    def _axis(self) -> list[Element]:
        step = round_step(self.seconds, 10) if self.shares else step_for(self.seconds, 10)
        bottom = _TOP + self.height
        found = []
        for index in range(int(self.seconds / step + 1e-9) + 1):
            x = self.x(index * step)
            found.append(el("line", class_="grid", x1=x, x2=x, y1=_TOP, y2=bottom))
            found.append(el("text", self._tick(index * step), class_="tick", x=x, y=bottom + 17, text_anchor="middle"))
        return found

    def _tick(self, at: float) -> str:
        if self.shares:
            return percent(at)
        return duration(at) if at else "0"

    def value_axis(self, step: float) -> list[Element]:
        """Lines and numbers for values."""
        found = []
        for index in range(int(self.top / step + 1e-9) + 1):
            y = self.y(index * step)
            found.append(el("line", class_="grid", x1=self.left, x2=WIDTH - _RIGHT, y1=y, y2=y))
            found.append(el("text", number(index * step), class_="tick", x=self.left - 8, y=y + 4, text_anchor="end"))
        return found

    def steps(self, points: Sequence[tuple[float, float]]) -> str:
        """A path that keeps each value until the next point, up to the end."""
        parts = []
        for index, (at, value) in enumerate(points):
            parts.append(
                f"{'H' if index else 'M'}{number(self.x(at))}" + ("" if index else f" {number(self.y(value))}")
            )
            if index:
                parts.append(f"V{number(self.y(value))}")
        return "".join(parts) + f"H{number(self.x(self.seconds))}"

    def area(self, points: Sequence[tuple[float, float]]) -> str:
        """The same, closed down to zero."""
        return f"{self.steps(points)}V{number(self.y(0))}H{number(self.x(points[0][0]))}Z"

    def level(self, value: float, class_: str) -> Element:
        """A line at one value."""
        y = self.y(value)
        return el("line", class_=class_, x1=self.left, x2=WIDTH - _RIGHT, y1=y, y2=y)

    def bar(self, span: tuple[float, float], row: tuple[float, float], class_: str, title: str) -> Element:
        """A bar along time, never too thin to see; `row` is its upper edge and height, `title` is for the pointer."""
        x = self.x(span[0])
        width = max(self.x(span[1]) - x, 1.5)
        y, height = row
        return el(
            "rect", el("title", title), class_=class_, x=x, y=y, width=width, height=height, rx=min(2, height / 4)
        )


def round_step(top: float, most: int) -> float:
    """A round step that divides values up to `top` into at most `most` parts."""
    magnitude = 1e-3
    while True:
        for factor in (1, 2, 5):
            if top / (magnitude * factor) <= most:
                return magnitude * factor
        magnitude *= 10


def legend(entries: Iterable[tuple[str, str]]) -> Element:
    """Names of classes with what they stand for."""
    return el("p", [el("span", el("i", class_=f"key {key}"), text) for key, text in entries], class_="legend")
