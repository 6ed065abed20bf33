"""Documents that are made to break whoever reads them: refused at once, by one message that shows nothing of them."""

import os
from pathlib import Path

import pytest

from pulumi_nodepools import ci_check, documents, update_plan, user_data
from pulumi_nodepools.bootstrap import cloud_config
from pulumi_nodepools.cli import checking, reporting, scanning
from pulumi_nodepools.cluster import access
from pulumi_nodepools.errors import NodePoolsError
from pulumi_nodepools.soak import document as evidence_document

DEEP = 100_000
BOMB = "a0: &a0 [hunter2, hunter2, hunter2]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
)
TEXTS = {
    "nested lists": '{"config": ' + "[" * DEEP,
    "nested maps": "config: " + "{a: " * DEEP,
    "aliases": BOMB + "config: *a11\nsets: *a11\nusers: *a11\n",
    "contains itself": "config: &me [*me]\n",
    "a number without end": '{"config": ' + "9" * 100_000 + "}",
    "a zero byte": "config: hunter2\0",
    "a tag": "config: !!python/object/apply:os.system [hunter2]\n",
    "cut": '{"config": "hunter2',
}


def kubeconfig(path):
    access.load(access.Access(kind="kubeconfig", path=f"{path}{os.pathsep}no-such-file"), timeout=1)


READERS = {
    "stack's file": lambda path: user_data.from_stack_file(path, "worker", "7.6.1810"),
    "signatures": scanning._sets,
    "preview": update_plan.read,
    "report": reporting.written,
    "evidence": lambda path: evidence_document.read(path.read_text()),
    "kubeconfig": kubeconfig,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_it_is_refused_without_being_shown(read, text, tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_text(text)
    with pytest.raises(NodePoolsError) as refused:
        read(path)
    assert "hunter2" not in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_part_of_user_data_is_judged(text) -> None:
    found = list(cloud_config.problems(f"#cloud-config\n{text}"))
    assert found
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("read", [*READERS.values(), checking._text], ids=[*READERS, "workflow"])
def test_a_file_without_end_is_not_read_to_its_end(read, tmp_path: Path) -> None:
    path = tmp_path / "given"
    with path.open("wb") as file:
        file.truncate(documents.MOST_JSON + 1)
    with pytest.raises(NodePoolsError, match=r"larger than \d+ MiB|longer than \d+ characters"):
        read(path)


def test_aliases_of_a_usual_size_are_read() -> None:
    assert documents.yaml_values("a: &a {x: 1}\nb: {<<: *a, y: 2}\n") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}
    assert documents.yaml_values("") is None


def test_any_workflow_is_searched() -> None:
    assert [list(ci_check.of_text("w", text)) for text in TEXTS.values()] == [[]] * len(TEXTS)
