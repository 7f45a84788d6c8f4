"""The page in a real browser: what is drawn, on wide and narrow windows, and that nothing in it can do anything.

The browser is Debian's chromium with its driver, which scripts/setup installs. Without them these tests fail.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_records import OUTCOMES, row
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from ot2deploy.report_page.file import write
from ot2deploy.report_page.run import find

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1280, 400)
HOSTILE = (
    "</pre></style></title><script>window.owned = 1</script><img src='http://127.0.0.1:9/x.png' onerror='owned=2'>"
    "\"'><svg onload=window.owned=3> &lt;b&gt; \x1b[31mred\x07 \u202egnp.exe"
)
CONTRAST = """
const seen = [];
const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
const back = node => {
    for (; node; node = node.parentElement) {
        const found = parse(getComputedStyle(node).backgroundColor);
        if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
};
for (const node of document.querySelectorAll('body *:not(svg, svg *)')) {
    if (![...node.childNodes].some(one => one.nodeType === 3 && one.textContent.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(back(node))];
    seen.push([node.tagName + '.' + node.className, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return seen;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless browser that resolves no name."""
    program, driver = next(filter(None, map(shutil.which, NAMES)), None), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail("chromium and chromium-driver are needed; scripts/setup installs them on Debian", pytrace=False)
    options = ChromeOptions()
    options.binary_location = program
    for word in (
        "headless=new", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
        "host-resolver-rules=MAP * ~NOTFOUND",
        f"user-data-dir={tmp_path_factory.mktemp('browser')}", *(["no-sandbox"] if os.geteuid() == 0 else []),
    ):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = Chrome(options=options, service=ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def show(browser: Chrome, tmp_path: Path) -> Callable[..., Chrome]:
    """A function that writes the report of a record and opens it in a window of a width."""

    def shown(record: Path, width: int = 1280, scheme: str = "light") -> Chrome:
        page = tmp_path / "out.html"
        write(page, find(record.parent.parent, record.stem), tmp_path / ".ot2deploy")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme_is = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": scheme_is})
        browser.get_log("browser"), browser.get_log("performance")  # what an earlier test left
        browser.get(page.as_uri())
        return browser

    return shown


def picture(browser: Chrome) -> bytes:
    return base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])


def requests(browser: Chrome) -> list[str]:
    told = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [one["params"]["request"]["url"] for one in told if one["method"] == "Network.requestWillBeSent"]


def boxes(browser: Chrome, selector: str) -> list[dict[str, float]]:
    script = "return [...document.querySelectorAll(arguments[0])].map(one => one.getBoundingClientRect().toJSON())"
    found: list[dict[str, float]] = browser.execute_script(script, selector)
    return found


def texts(browser: Chrome, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
    found: list[str] = browser.execute_script(script, selector)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_drawn_whole_in_a_window_of_any_width(show, fleet_record, width):
    page = show(fleet_record, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    robots = [*OUTCOMES, "wario"]
    assert texts(page, ".matrix tbody th") == robots
    assert texts(page, ".matrix thead th") == ["Robot", "prefect", "helpers"]
    assert texts(page, ".matrix tbody td:nth-child(2) .word") == [*OUTCOMES.values()]
    assert texts(page, ".timeline tbody th") == [*OUTCOMES]
    bars = boxes(page, ".timeline tbody .bar")
    assert len(bars) == 5 * len(OUTCOMES)
    assert all(0 <= bar["left"] < bar["right"] <= width and bar["width"] > 0.3 for bar in bars)
    longest = boxes(page, ".timeline tbody .stage-install")[0]["width"]
    assert longest > 0.3 * boxes(page, ".timeline tbody td.bars")[0]["width"]
    assert len(boxes(page, ".timeline tbody .wave")) == 2 * len(OUTCOMES)
    assert [box for box in boxes(page, "h1, h2, .word, .failure, dd") if box["right"] > width] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_texts_of_the_axis_do_not_touch_each_other(show, fleet_record, width):
    page = show(fleet_record, width)
    found = boxes(page, ".axis text")
    assert len(found) >= 3
    assert all(one["right"] < other["left"] for one, other in itertools.pairwise(found))


def test_it_loads_nothing_and_nobody_complains(show, fleet_record):
    page = show(fleet_record)
    assert [url for url in requests(page) if not url.endswith("/out.html")] == []
    assert page.get_log("browser") == []


def test_it_is_no_empty_sheet_and_dark_where_that_is_wanted(show, fleet_record):
    light = picture(show(fleet_record))
    dark = picture(show(fleet_record, scheme="dark"))
    page = show(fleet_record)
    page.get("about:blank")
    blank = picture(page)
    assert len(light) > 5 * len(blank)
    assert len(dark) > 5 * len(blank)
    assert light != dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(show, fleet_record, scheme):
    seen = show(fleet_record, scheme=scheme).execute_script(CONTRAST)
    assert len(seen) > 50
    assert [one for one in seen if one[1] < 4.5] == []


def test_hostile_text_is_shown_and_does_nothing(show, recorded):
    lines = [
        {**row(HOSTILE, "failed", text=HOSTILE), "outcome": HOSTILE},
        {**row("otto", "failed", text=HOSTILE), "spans": [[HOSTILE, 5.0, 9.0]], "note": HOSTILE},
        {"event": "wave", "robots": [HOSTILE]},
        {"event": "stopped", "why": HOSTILE},
    ]
    lines[0]["plan"] |= dict.fromkeys(("environment", "profile", "digest", "current"), HOSTILE)
    lines[0]["seconds"] = {HOSTILE: 1.0}
    page = show(recorded(*lines, who=HOSTILE, target=HOSTILE, environment=HOSTILE))
    assert page.execute_script("return window.owned === undefined")
    assert boxes(page, "script, img, iframe, object, link, base, form, body style") == []
    handlers = "return [...document.querySelectorAll('*')].flatMap(n => [...n.attributes]).map(a => a.name)"
    assert [name for name in page.execute_script(handlers) if name.startswith("on") or name == "style"] == []
    assert [url for url in requests(page) if not url.endswith("/out.html")] == []
    assert page.get_log("browser") == []
    visible = HOSTILE.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\u202e", "\\u202e")
    assert texts(page, ".failure pre") == [f"Traceback\n{visible}"] * 2
    assert page.title.endswith("0 of 2 robots as wanted, 2 failed")


def test_a_script_that_got_in_would_not_run(show, fleet_record, tmp_path):
    page = show(fleet_record)
    path = tmp_path / "out.html"
    text = path.read_text().replace("</main>", "<script>window.owned = 1</script><img src='data:,x'></main>")
    path.write_text(text)
    page.get(path.as_uri())
    assert page.execute_script("return window.owned === undefined")
    assert "Content Security Policy" in str(page.get_log("browser"))


def test_a_screen_reader_finds_tables_headings_and_pictures_by_name(show, fleet_record):
    page = show(fleet_record)
    tree: list[dict[str, Any]] = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node.get("ignored")]
    assert {name for role, name in named if role == "table"} >= {
        "Which release of which environment each robot has",
        "When each stage of each robot began and how long it took",
    }
    assert [name for role, name in named if role == "heading"][:3] == ["Push prefect", "The fleet", "Timeline"]
    pictures = [name for role, name in named if role in ("image", "img", "graphics-document")]
    assert len([name for name in pictures if name.startswith("otto: probe 0.4 s, bundle 2.0 s")]) == 1
    assert all(pictures)
    assert ("rowheader", "otto") in named


def test_on_paper_it_has_its_colours_and_nothing_is_cut_off(show, recorded):
    rows = [row(f"robot-{number}", "pushed") for number in range(60)]
    page = show(recorded(*rows))
    printed = page.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert boxes(page, "nav")[0]["width"] == 0
    assert page.execute_script("return getComputedStyle(document.querySelector('.wide')).overflowX") == "visible"
