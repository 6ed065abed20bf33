"""The page in a real browser: what it shows, and that what a cluster planted does nothing there."""

import json
import re

import pytest

from pulumi_nodepools import reporting
from tests.tools import ask
from tests.unit.reporting.report_case import SCRIPT, blocked, demo, drained

MEASURE = """<script>
const wrong = [];
if (document.documentElement.scrollWidth > innerWidth) wrong.push('wider than the window');
for (const svg of document.querySelectorAll('svg')) {
  const box = svg.getBoundingClientRect();
  if (box.width < 200 || box.height < 30) wrong.push('no picture: ' + svg.getAttribute('aria-label'));
  for (const part of svg.querySelectorAll('text, rect, path')) {
    const inner = part.getBoundingClientRect();
    if (inner.left < box.left - 1 || inner.right > box.right + 1 || inner.bottom > box.bottom + 1)
      wrong.push('outside its picture: ' + part.textContent);
  }
}
const style = getComputedStyle(document.body);
document.title = JSON.stringify({wrong, ground: style.backgroundColor, ink: style.color});
</script></body>"""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browse(tmp_path, text, *options):
    """The title that a page has once it is loaded."""
    file = tmp_path / "page.html"
    file.write_text(text)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/b"]
    run = ask("chromium", *flags, *options, "--dump-dom", file.as_uri())
    return re.search(r"<title>(.*?)</title>", run.stdout, re.DOTALL)[1], run.stdout


def measured(tmp_path, body, *options):
    text = POLICY.sub("", reporting.page(reporting.read("r.json", json.dumps(body).encode())))
    return json.loads(browse(tmp_path, text.replace("</body>", MEASURE), *options)[0].replace("&amp;", "&"))


@pytest.mark.parametrize("protected", [True, False])
def test_a_script_in_an_event_is_text_with_and_without_the_policy(tmp_path, protected):
    text = reporting.page(reporting.read("r.json", json.dumps(drained(event=SCRIPT)).encode()))
    if not protected:
        text = POLICY.sub("", text)
        assert "Content-Security-Policy" not in text
    title, shown = browse(tmp_path, text)
    assert title == "Drain of pool/v1"
    assert "&lt;script&gt;" in shown


def test_the_browser_would_have_run_it(tmp_path):
    text = reporting.page(reporting.read("r.json", json.dumps(drained()).encode()))
    assert browse(tmp_path, POLICY.sub("", text).replace("</body>", f"{SCRIPT}</body>"))[0] == "owned"


@pytest.mark.parametrize("width", [420, 1280])
def test_pictures_fit_on_narrow_and_wide_screens(tmp_path, width):
    assert measured(tmp_path, demo(blocked()), f"--window-size={width},2000")["wrong"] == []


def test_light_and_dark_follow_the_reader(tmp_path):
    light = measured(tmp_path, drained(), "--blink-settings=preferredColorScheme=1")
    dark = measured(tmp_path, drained(), "--blink-settings=preferredColorScheme=0")
    assert _brightness(light["ground"]) - _brightness(light["ink"]) > 150
    assert _brightness(dark["ink"]) - _brightness(dark["ground"]) > 150


def _brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
