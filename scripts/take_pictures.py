"""Take pictures of a running web interface for the docs, with Chromium.

Run `python scripts/take_pictures.py http://127.0.0.1:8080`: it writes `docs/home-light.png` and `docs/home-dark.png`.
`--page /models/delay --name model` takes another page instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIZE = {"width": 1440, "height": 900}
SHARPNESS = 1.5
SETTLE_MS = 1_500
"""How long charts and the first lights on the belt take."""


def take(browser: Browser, url: str, *, theme: str, file: Path) -> None:
    """Write one picture of one page in one theme."""
    context = browser.new_context(viewport=SIZE, device_scale_factor=SHARPNESS, color_scheme=theme)
    page = context.new_page()
    page.goto(url)
    page.locator(".connection-live").wait_for()
    page.locator(".skeleton").wait_for(state="detached")
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=file)
    context.close()


def main() -> int:
    """Take a page in both themes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="where `interlock up` serves")
    parser.add_argument("--page", default="/", help="which page")
    parser.add_argument("--name", default="home", help="first part of the files' names")
    parser.add_argument("--folder", type=Path, default=DOCS, help="where they go")
    wanted = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.stderr.write("error: there is no Chromium\nbecause: it is not on the PATH\ntry: apt-get install chromium\n")
        return 1
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            file = wanted.folder / f"{wanted.name}-{theme}.png"
            take(browser, wanted.url.rstrip("/") + wanted.page, theme=theme, file=file)
            sys.stdout.write(f"{file}\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
