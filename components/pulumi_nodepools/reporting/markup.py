"""Elements of HTML and SVG. Text and attributes are always escaped on the way out: there is no way to put markup in."""

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str | Iterable["Child"] | None

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text, and halves of characters: text from a cluster may lie."""


def el(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """An element; `class_` is class, other underscores are hyphens, None leaves an attribute out."""
    element = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            key = name.rstrip("_").replace("_", "-")
            element.set(key, _clean(value) if isinstance(value, str) else number(value))
    _append(element, children)
    return element


def number(value: float) -> str:
    """Short, and the same everywhere."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def html(root: Element) -> str:
    """A whole document."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _append(element: Element, children: Iterable[Child]) -> None:
    for child in children:
        if isinstance(child, str):
            _add_text(element, _clean(child))
        elif isinstance(child, Element):
            element.append(child)
        elif child is not None:
            _append(element, child)


def _add_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def _clean(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
