"""The page of an endpoint in a real browser, over `interlock up` with a fitted model behind it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from interlock.serving.rollout import begin
from interlock.workspace import open_workspace
from tests.fitted import flight_delay, flights

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two versions of a model, the first behind an endpoint."""
    place = tmp_path_factory.mktemp("endpoint") / "ws"
    with open_workspace(place) as workspace:
        for _ in range(2):
            version = workspace.registry.register("delay", flight_delay(), example=flights().slice(0, 100))
        workspace.stores.deployments.route("delay", begin("model:delay@1"), reason="the first")
        assert version.ref == "model:delay@2"
    return place


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "interlock.cli.main", "--json", "--dir", str(folder), "up", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = json.loads(process.stdout.readline())["url"]
            wait_until_ready(address)
            yield address
        finally:
            process.terminate()


def wait_until_ready(url: str) -> None:
    """Return once the model is loaded, which goes on behind a server that answers already."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/v2/health/ready", timeout=10).close()
        except urllib.error.HTTPError as error:
            error.close()
            time.sleep(0.05)
        else:
            return
    pytest.fail("the endpoint did not become ready")


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


def ask(url: str, *, prediction_id: str) -> None:
    row: dict[str, Any] = {"wind": 3.5, "delay": None, "distance": 1.0, "carrier": "UA", "origin": "EWR"}
    body = {"dataframe_records": [row], "params": {"prediction_ids": [prediction_id]}}
    request = urllib.request.Request(
        f"{url}/endpoints/delay/invocations", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).read()


def test_the_traffic_of_the_last_hour_is_shown(page: Page, url: str) -> None:
    ask(url, prediction_id="before-looking")
    page.goto("/endpoints/delay")
    expect(page.get_by_text("99 of 100 within")).to_be_visible()
    expect(page.get_by_role("img", name="Requests and failures per minute")).to_be_visible()
    expect(page.get_by_role("img", name="Latency quantiles per minute").locator("canvas")).to_be_visible()
    page.get_by_role("tab", name="Versions").click()
    row = page.get_by_role("row", name=re.compile("delay@1"))
    expect(row).to_contain_text("onnx")
    expect(row).to_contain_text("quicker than sklearn")


def test_predictions_come_in_while_the_page_is_open(page: Page, url: str) -> None:
    page.goto("/endpoints/delay?tab=predictions")
    expect(page.get_by_text("As they are answered")).to_be_visible()
    ask(url, prediction_id="while-looking")
    row = page.get_by_role("row", name=re.compile("while-l|looking"))
    expect(row).to_contain_text("carrier UA")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()


def test_a_row_can_be_tried_and_a_bad_one_is_named(page: Page) -> None:
    page.goto("/endpoints/delay?tab=try")
    wind = page.get_by_label("wind", exact=False).first
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.locator(".answer")
    expect(answer).to_contain_text("probability")
    expect(page.get_by_role("link", name="everything that led to it")).to_be_visible()
    wind.fill("a lot")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".problem")).to_contain_text("column 'wind': expected double, got a string")
    expect(wind).to_have_attribute("aria-invalid", "true")
    expect(answer).to_have_count(0)


def test_the_commands_shown_work_as_they_are(page: Page, tmp_path: Path) -> None:
    page.goto("/endpoints/delay?tab=call")
    for title in ("curl", "MLflow", "KServe V1"):
        page.get_by_role("button", name=title, exact=True).click()
        command = page.locator("pre").first.inner_text()
        done = subprocess.run(
            ["sh", "-c", command.replace("curl ", "curl -sS --fail-with-body ", 1)], capture_output=True, text=True
        )  # noqa: S603, S607
        assert done.returncode == 0, f"{title}: {done.stdout} {done.stderr}"
        assert json.loads(done.stdout).keys() & {"outputs", "predictions"}
    for title in ("tritonclient", "interlock"):
        page.get_by_role("button", name=title, exact=True).click()
        program = tmp_path / f"ask_{title}.py"
        program.write_text(page.locator("pre").first.inner_text())
        done = subprocess.run(
            [sys.executable, str(program)],
            capture_output=True,
            text=True,
            env={**os.environ, "INTERLOCK_URI": page.url.partition("/endpoints")[0]},
        )
        assert done.returncode == 0, f"{title}: {done.stderr}"
        assert "probability" in done.stdout


def test_a_version_is_deployed_by_a_button(page: Page, folder: Path) -> None:
    page.goto("/models/delay?version=2")
    expect(page.get_by_role("region", name="Engines")).to_contain_text("ONNX")
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.get_by_role("button", name="shadow").click()
    page.get_by_role("button", name="Deploy @2").click()
    done = page.get_by_role("status").filter(has_text="since revision")
    expect(done).to_contain_text("behind delay", timeout=20_000)
    with open_workspace(folder) as workspace:
        assert [one.role for one in workspace.stores.deployments.get("delay").deployments] == ["live", "shadow"]
    page.get_by_label("Endpoint").fill("fresh")
    page.get_by_role("button", name="canary").click()
    page.get_by_role("button", name="Deploy @2").click()
    expect(page.locator(".deploy .problem")).to_contain_text("nothing answers behind the endpoint yet")
