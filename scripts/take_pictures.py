"""Take pictures of a running web interface for the docs, with Chromium.

Run `python scripts/take_pictures.py http://127.0.0.1:8080`: it writes `docs/home-light.png` and `docs/home-dark.png`.
`--page "/models/delay?tab=gate" --name model --theme light` takes another page. With Pillow installed a large picture
keeps its 256 most telling colours only, which makes a third of its size and is not seen.
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
THEMES = ("light", "dark")
LARGE_BYTES = 500_000


def take(browser: Browser, url: str, *, theme: str, file: Path) -> None:
    """Write one picture of one page in one theme."""
    context = browser.new_context(viewport=SIZE, device_scale_factor=SHARPNESS, color_scheme=theme)
    page = context.new_page()
    page.goto(url)
    page.locator(".connection-live").wait_for()
    page.wait_for_function("document.querySelectorAll('.skeleton').length === 0")
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=file)
    context.close()


def reduce(file: Path) -> None:
    """Write a large picture again with a palette; leave it as it is where Pillow is not installed."""
    if file.stat().st_size <= LARGE_BYTES:
        return
    try:
        from PIL import Image
    except ImportError:
        return
    picture = Image.open(file).convert("RGB")
    # the palette must hold the few red pixels too, not only the many shades of the ground
    palette = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(file, optimize=True)


def main() -> int:
    """Take a page in the themes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="where `interlock up` serves")
    parser.add_argument("--page", default="/", help="which page")
    parser.add_argument("--name", default="home", help="first part of the files' names")
    parser.add_argument("--theme", choices=THEMES, help="one theme only")
    parser.add_argument("--folder", type=Path, default=DOCS, help="where they go")
    wanted = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.stderr.write("error: there is no Chromium\nbecause: it is not on the PATH\ntry: apt-get install chromium\n")
        return 1
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in [wanted.theme] if wanted.theme else THEMES:
            file = wanted.folder / f"{wanted.name}-{theme}.png"
            take(browser, wanted.url.rstrip("/") + wanted.page, theme=theme, file=file)
            reduce(file)
            sys.stdout.write(f"{file}\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
