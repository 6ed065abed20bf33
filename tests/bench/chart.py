"""A bar chart as SVG: a few numbers, one bar each. Nothing to install, and it looks the same everywhere."""

from collections.abc import Sequence
from html import escape

_LEFT, _WIDTH, _BAR, _GAP, _TOP = 150, 520, 26, 14, 46


def bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """A chart of (name, value, text at its end)."""
    height = _TOP + len(rows) * (_BAR + _GAP)
    most = max((value for _, value, _ in rows), default=1.0) or 1.0
    box = f"0 0 {_LEFT + _WIDTH + 130} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-family="sans-serif" font-size="14">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="26" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (name, value, label) in enumerate(rows):
        top = _TOP + index * (_BAR + _GAP)
        width = max(2.0, value / most * _WIDTH)
        middle = top + _BAR * 0.7
        parts += [
            f'<text x="{_LEFT - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="#3b6ea5"/>',
            f'<text x="{_LEFT + width + 8:.1f}" y="{middle}">{escape(label)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
