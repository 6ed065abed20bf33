"""What a finished pod was, and which lines of a log are new: the collector's judgement of single answers."""

import pytest

from pulumi_nodepools.collector import pods
from pulumi_nodepools.in_cluster.api import Unanswered
from pulumi_nodepools.soak.stamps import iso_seconds


def pod(phase="Running", *, conditions=(), **end):
    state = {"terminated": {"exitCode": 0, **end}} if end else {"running": {}}
    return {
        "metadata": {"name": "run-1", "namespace": "soaks", "uid": "uid-1", "labels": {"nodepools.dev/soak": "canary"}},
        "spec": {"nodeName": "node07"},
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": [{"name": "main", "state": state}],
        },
    }


ENDED = {"finishedAt": "2020-04-28T12:49:09Z"}


def test_a_run_has_its_end_and_its_message():
    run = pods.run(pod("Failed", exitCode=3, message="no space", **ENDED))
    assert (run.failed, run.group, run.node, run.message) == (True, "canary", "node07", "exit code 3: no space")
    assert run.at == iso_seconds("2020-04-28T12:49:09Z")
    assert pods.run(pod("Succeeded", **ENDED)).failed is False
    late = pod("Failed")
    late["status"] |= {"reason": "DeadlineExceeded", "containerStatuses": []}
    assert pods.run(late).message == "DeadlineExceeded"


@pytest.mark.parametrize(
    "going",
    [
        pod("Running"),
        pod("Pending"),
        pod("Failed", exitCode=137, conditions=[{"type": "DisruptionTarget", "status": "True"}], **ENDED),
    ],
)
def test_what_goes_on_or_was_taken_away_is_no_run(going):
    assert pods.run(going) is None


class Log:
    """An API that has one log; remembers from when it was asked for."""

    def __init__(self, *lines, end=True):
        self.lines, self.end, self.asked = list(lines), end, []

    def text(self, _path, **query):
        self.asked.append(query.get("sinceTime"))
        body = b"\n".join(self.lines) + (b"\n" if self.end else b"")
        yield body[:10]
        yield body[10:]


def read(log, cursor=None, of=None):
    lines = []
    found = pods.read(log, of or pod(), "main", cursor, lines.append)
    return [line.text for line in lines], found


def at(second, text, fraction="000000001", zone="Z"):
    return f"2020-04-28T12:49:{second:02d}.{fraction}{zone} {text}".encode()


def test_each_line_is_read_once_also_those_of_one_moment():
    log = Log(at(1, "a"), at(1, "b"))
    texts, found = read(log)
    assert texts == ["a", "b"]
    log.lines += [at(1, "c"), at(2, "d")]
    texts, again = read(log, found.cursor)
    assert texts == ["c", "d"]
    assert log.asked == [None, "2020-04-28T12:49:01Z"]
    assert read(log, again.cursor)[0] == []
    assert again.loss == ""


def test_stamps_of_a_zone_are_the_same_moment():
    log = Log(at(1, "a", zone="+02:00"))
    _, found = read(log)
    log.lines.append(at(2, "b", zone="+02:00"))
    assert read(log, found.cursor)[0] == ["b"]
    assert log.asked[-1] == "2020-04-28T10:49:01Z"


def test_a_line_that_is_still_being_written_is_left_for_the_next_look():
    log = Log(at(1, "a"), at(2, "begun and n"), end=False)
    texts, found = read(log)
    assert texts == ["a"]
    log.lines[-1] += b"ow whole"
    log.end = True
    assert read(log, found.cursor)[0] == ["begun and now whole"]
    assert read(Log(at(1, "cut"), end=False), of=pod("Failed", exitCode=1, **ENDED))[0] == ["cut"], (
        "nothing will follow"
    )


def test_an_ended_log_is_not_asked_for_again():
    log, over = Log(at(1, "a")), pod("Succeeded", **ENDED)
    _, found = read(log, of=over)
    assert read(log, found.cursor, of=over)[0] == []
    assert len(log.asked) == 1


def test_a_log_that_does_not_reach_back_was_rotated():
    log = Log(at(1, "a"))
    _, found = read(log)
    log.lines = [at(3, "c")]
    texts, after = read(log, found.cursor)
    assert texts == ["c"]
    assert "run-1 main was rotated" in after.loss
    assert read(log, after.cursor)[1].loss == ""


def test_a_log_that_breaks_off_is_a_loss_and_goes_on_where_it_broke():
    class Broken(Log):
        def text(self, path, **query):
            yield from super().text(path, **query)
            raise Unanswered("reset by peer")

    texts, found = read(Broken(at(1, "a"), at(2, "b")))
    assert texts == ["a"], "the last line may not be whole"
    assert "could not be read (reset by peer)" in found.loss
    assert read(Log(at(1, "a"), at(2, "b")), found.cursor)[0] == ["b"]
