"""Pages opened in a headless Chromium: what they look like inside, what they say and what they ask the network for."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
REASON = f"no browser: none of {', '.join(NAMES)} is installed"


@dataclass(frozen=True)
class Visit:
    """The page's elements after its scripts, its lines on the console, and the addresses that it asked for."""

    dom: str
    console: tuple[str, ...]
    requests: tuple[str, ...]


def visit(address, folder, *, width=1240, height=2000, milliseconds=20_000):
    """Open an address with a fresh profile in `folder`; the page has so many milliseconds of its own time."""
    log = folder / "net.json"
    flags = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync"),
        *("--enable-logging=stderr", f"--log-net-log={log}", f"--user-data-dir={folder / 'profile'}"),
        *(f"--window-size={width},{height}", f"--virtual-time-budget={milliseconds}", "--dump-dom"),
    )
    done = subprocess.run([CHROMIUM, *flags, address], capture_output=True, text=True, check=True, timeout=120)
    console = tuple(line for line in done.stderr.splitlines() if ":CONSOLE" in line)
    return Visit(done.stdout, console, _requests(log))


def section(dom, name):
    """The element of one panel."""
    return re.search(rf'<section id="{name}">.*?</section>', dom, flags=re.DOTALL).group()


def marks(drawn):
    """How many marks the figures in a piece of a page hold: points, lines, bars and pictures of heat maps."""
    return len(re.findall(r'class="(?:point|js-line)[ "]|<image ', drawn))


def _requests(log):
    """The addresses that a page asked for; requests of the browser's own have no origin."""
    text = log.read_text(encoding="utf-8").rstrip()
    try:
        table = json.loads(text)
    except json.JSONDecodeError:  # the browser may be gone before it has closed the list of events
        table = json.loads(text.rstrip(",") + "]}")
    start = table["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    params = [event.get("params", {}) for event in table["events"] if event["type"] == start]
    asked = [each for each in params if "url" in each]  # the end of a request does not name it again
    return tuple(
        each["url"]
        for each in asked
        if each.get("initiator") != "not an origin" and not each["url"].startswith("data:")
    )
