"""From bytes to logical lines: what runtimes split, wrap and colour."""

import json

import pytest

from pulumi_nodepools.soak.lines import OVERLAP, PIECE, Reader, split
from pulumi_nodepools.soak.stamps import iso_seconds, iso_text

NEAR = 1588078160.0  # 2020-04-28T12:49:20Z
AT = 1588078149.0


def read(*raw, origin="node", node=""):
    reader = Reader(origin, near=NEAR, node=node, source="test")
    return [line for one in raw for line in reader.feed(one)] + list(reader.finish())


@pytest.mark.parametrize(
    ("raw", "kind", "at", "text"),
    [
        (b"[Tue Apr 28 12:49:09 2020] oops", "kernel", AT, "oops"),
        (b"Apr 28 12:49:09 node07 kernel: [ 12.345678] oops", "kernel", AT, "oops"),
        (b"Apr 28 12:49:09 node07 kernel:   cache: a", "kernel", AT, "  cache: a"),
        (b"2020-04-28T14:49:09+02:00 node07 kernel: oops", "kernel", AT, "oops"),
        (b"2020-04-28T12:49:09+0000 node07 kubelet[1]: oops", "program", AT, "oops"),
        (b"[ 12.345678] oops", "kernel", None, "oops"),
        (b"4,1873,9211000231,-;oops", "kernel", None, "oops"),
        (b"30,1873,9211000231,-;oops", "program", None, "oops"),
        (b"<4>[ 12.345678] oops", "kernel", None, "oops"),
        (b"<30>Apr 28 12:49:09 node07 kubelet[1]: oops", "program", AT, "oops"),
        (b"kern  :warn  : [Tue Apr 28 12:49:09 2020] oops", "kernel", AT, "oops"),
        (b"E0428 12:49:09.000001    1234 pod_workers.go:190] oops", "program", AT, "oops"),
        (b'time="2020-04-28T12:49:09Z" msg=oops', "program", AT, 'time="2020-04-28T12:49:09Z" msg=oops'),
        (b"oops", "program", None, "oops"),
        (b"Feb 30 12:49:09 node07 kernel: oops", "kernel", None, "oops"),
    ],
)  # fmt: skip
def test_prefixes_say_who_wrote_a_line_and_when(raw, kind, at, text):
    (line,) = read(raw)
    assert (line.kind, line.at, line.text) == (kind, at, text)


@pytest.mark.parametrize(("origin", "kind"), [("kernel", "kernel"), ("node", "kernel"), ("pod", "program")])
def test_only_a_nodes_own_log_speaks_for_the_kernel(origin, kind):
    (line,) = read(b"[Tue Apr 28 12:49:09 2020] oops", origin=origin)
    assert line.kind == kind


def test_stamps_without_a_year_are_read_near_the_time_of_collection():
    new_year = iso_seconds("2021-01-01T00:00:30Z")
    (line,) = Reader("node", near=new_year).feed(b"Dec 31 23:59:50 node07 kernel: oops")
    assert iso_text(line.at) == "2020-12-31T23:59:50Z"
    leap = iso_seconds("2021-02-20T00:00:00Z")
    (line,) = Reader("node", near=leap).feed(b"Feb 29 10:00:00 node07 kernel: oops")
    assert iso_text(line.at) == "2020-02-29T10:00:00Z"


def test_cri_parts_are_joined_per_stream():
    lines = read(
        b"2020-04-28T12:49:09Z stderr P one ",
        b"2020-04-28T12:49:09Z stdout F other",
        b"2020-04-28T12:49:10Z stderr F two",
        origin="pod",
    )
    assert [(line.text, line.at) for line in lines] == [("other", AT), ("one two", AT)]


def test_json_file_parts_are_joined_and_an_unfinished_one_is_not_lost():
    parts = [{"log": "one ", "stream": "stderr", "time": "2020-04-28T12:49:09Z"}, {"log": "two\n", "stream": "stderr"}]
    lines = read(*(json.dumps(part).encode() for part in parts), b'{"log":"cut","stream":"stdout"}', origin="pod")
    assert [line.text for line in lines] == ["one two", "cut"]


def test_json_of_programs_becomes_its_texts_decoded():
    (line,) = read(b'{"level":"error","error":{"msg":"caused \\"EOF\\"","code":3}}', origin="pod")
    assert line.text == 'error caused "EOF"'
    (deep,) = read(b"[" * 100_000, origin="pod")
    assert len(deep.text) == 100_000


def test_journald_json_names_transport_node_and_time():
    body = {
        "_TRANSPORT": "kernel",
        "_HOSTNAME": "node07",
        "__REALTIME_TIMESTAMP": "1588078149000000",
        "MESSAGE": "oops",
    }
    (line,) = read(json.dumps(body).encode())
    assert (line.kind, line.node, line.at, line.text) == ("kernel", "node07", AT, "oops")
    (line,) = read(json.dumps({**body, "MESSAGE": [111, 255, 111]}).encode())
    assert line.text == "o�o"


def test_colours_broken_utf8_and_lone_surrogates_do_not_hide_a_text():
    (line,) = read(b"\x1b[31mERRO\x1b[0m\xff oops\x00\r")
    assert line.text == "ERRO� oops"
    (line,) = read(b'{"msg":"\\ud800 oops"}')
    assert line.text == "? oops"
    line.text.encode()


def test_lines_above_16_kib_are_whole_and_endless_ones_come_in_overlapping_pieces():
    long = b"x" * 20_000 + b" oops"
    (line,) = read(*split([long[:5000], long[5000:], b"\n"]))
    assert line.text.endswith(" oops")
    marker = b"MARK"
    endless = b"y" * (PIECE - 2) + marker + b"z" * PIECE
    pieces = list(split([endless[at : at + 65536] for at in range(0, len(endless), 65536)]))
    assert sum(marker in piece for piece in pieces) == 1, "a text on the border is whole in the next piece"
    assert max(map(len, pieces)) <= PIECE + OVERLAP


def test_joined_parts_without_an_end_do_not_grow_for_ever():
    part = b"2020-04-28T12:49:09Z stderr P " + b"x" * 16384
    lines = read(*[part] * 40, origin="pod")
    assert len(lines) >= 2
    assert sum(len(line.text) for line in lines) >= 40 * 16384
