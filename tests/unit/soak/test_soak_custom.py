"""Signature sets that users write."""

import pytest

from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.soak.custom import compile_, with_custom
from pulumi_nodepools.soak.kmem import KMEM

XFS = {"id": "x-hang", "kind": "kernel", "pattern": r"^XFS .* blocked for more than \d+", "weight": "definite"}


def one(**changes):
    return [{"name": "xfs", "patterns": [XFS | changes]}]


def test_custom_sets_stand_beside_the_kmem_set():
    kmem, custom = with_custom("signatures", [{"name": "xfs", "window": "2m", "patterns": [XFS | {"anchor": True}]}])
    assert kmem is KMEM
    assert (custom.name, custom.window, custom.signatures[0].anchor) == ("xfs", 120.0, True)
    assert with_custom("signatures", None) == (KMEM,)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (one(pattern="(unclosed"), r"signatures\[0\].patterns\[0\].pattern: .*cannot be compiled"),
        (one(pattern=r"(?=ahead)x"), "cannot be compiled"),
        (one(pattern=r"(a)\1"), "cannot be compiled"),
        (one(pattern=r"\pN+"), "cannot be compiled"),
        (one(pattern="a*"), "matches the empty string"),
        (one(pattern="^"), "matches the empty string"),
        (one(pattern=""), "is not a pattern"),
        (one(pattern="x" * 1001), "has 1001 characters"),
        (one(pattern=7), "is not a pattern"),
        (one(weight="heavy"), "write one of definite, strong, weak, noise"),
        (one(kind="pod"), "write one of kernel, program"),
        (one(raised="strong"), "needs a pattern with `anchor: true`"),
        (one(anchor="yes"), "is not true or false"),
        (one(id="X Y"), "is not a name"),
        (one(colour="red"), "unknown key colour"),
        ([{"name": "kmem", "patterns": [XFS]}], "is the name of another set"),
        ([{"name": "xfs", "patterns": []}], "at least one entry"),
        ([{"name": "xfs", "patterns": [XFS, XFS]}], "stands there twice"),
        ([{"name": "xfs", "window": "0s", "patterns": [XFS]}], "out of range"),
        ([{"name": "xfs", "window": 60, "patterns": [XFS]}], "is not a duration"),
        ("kmem", "is not a list"),
        ([7], "is not a map"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(raw, words):
    with pytest.raises(ConfigError, match=words) as caught:
        with_custom("signatures", raw)
    assert str(caught.value).startswith("signatures")


def test_re2_takes_no_longer_for_a_nested_repeat():
    assert compile_("(a+)+$").search("a" * 20_000 + "b") is None
