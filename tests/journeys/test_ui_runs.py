"""Runs in the web interface: media over steps, files, folders of experiments, lineage, notes; down to phone width."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from interlock.ports.run_store import ArtifactEntry, Run, RunBatch
from interlock.server.ui_files import DIST
from interlock.workspace import Workspace, open_workspace
from tests.journeys.lived_in import served

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
STEPS = range(0, 60, 10)
HOSTILE = """<h3>Step {step}</h3><p id="word">still</p>
<script>document.getElementById("word").textContent = "ran"; parent.document.title = "owned"</script>
<img src="x" onerror="document.getElementById('word').textContent = 'ran'">"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><script>document.title = "owned"</script>
<circle cx="5" cy="5" r="4"/></svg>"""

PROGRAM = """<body><div id="figure">waits</div><script src="plotly.min.js"></script><script>
draw(document.getElementById("figure"));
fetch("/api/v1/runs").catch(() => { document.body.dataset.fetch = "refused" });
try { parent.document.title = "owned" } catch { document.body.dataset.parent = "refused" }
</script></body>"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


def log(workspace: Workspace, experiment: str, name: str) -> Run:
    """Record one run with a bit of everything that can be shown."""
    picture = np.zeros((8, 12, 3), np.uint8)
    options = {"console": False, "system_every_s": 0}
    with workspace.experiments.run(experiment, name=name, inputs=["dataset:birds@1"], **options) as run:  # type: ignore[arg-type]
        for step in STEPS:
            picture[:, :, 0] = step * 4
            run.log_metrics({"loss": 1 / (step + 1)}, step=step)
            run.log_image("val/worst", picture, step=step, caption=f"bird {step}")
            run.log_histogram("weights", np.linspace(-1, 1, 100), step=step)
        run.log_table("errors", {"file": [f"{at}.jpg" for at in range(25)], "score": [0.5] * 25}, step=20)
        run.log_html("report", HOSTILE.format(step=20), step=20)
        run.log_points3d("embedding", np.eye(3), step=20)
        run.log_audio("speech", np.zeros(800), step=20)
        run.log_text("name,age\nann,31\nbob,\n", "data/people.csv")
        run.log_text('{"threshold": [0.5, 1]}', "config/model.json")
        run.log_text(SVG, "plots/dot.svg")
        run.log_text(HOSTILE.format(step=0), "page.html")
        run.log_text("epoch 1\nepoch 2\n\x1b[32mdone\x1b[0m\n", "console.txt")
    return workspace.stores.runs.get(run.id)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert (DIST / "index.html").is_file(), "the web interface is not built: python ui/build.py"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with open_workspace("memory:") as opened:
        opened.data.commit("birds", pa.table({"label": ["gull", "tern"]}))
        for name in ("vision/resnet/baseline", "vision/vit", "Plain things"):
            with opened.experiments.run(name, name="short", console=False, system_every_s=0) as run:
                run.log_metrics({"auc": 0.7})
        yield opened


@pytest.fixture(scope="module")
def runs(workspace: Workspace) -> tuple[Run, Run]:
    return log(workspace, "vision/resnet/ablation", "seed 0"), log(workspace, "vision/resnet/ablation", "seed 1")


@pytest.fixture(scope="module")
def run(runs: tuple[Run, Run]) -> Run:
    return runs[0]


@pytest.fixture(scope="module")
def url(workspace: Workspace, runs: tuple[Run, Run]) -> Iterator[str]:
    with served(workspace) as address:
        yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_one_slider_moves_all_media(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=media")
    worst = page.get_by_role("article", name="val/worst")
    expect(worst.get_by_role("img", name="val/worst at step 50: bird 50")).to_be_visible()
    slider = page.get_by_role("slider", name="Step")
    expect(slider).to_have_attribute("aria-valuetext", "step 50")
    slider.press("ArrowLeft")
    expect(worst.get_by_role("img", name="val/worst at step 40: bird 40")).to_be_visible()
    worst.get_by_role("button", name="Make it large").press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "step 30")
    weights = page.get_by_role("article", name="weights")
    expect(weights.get_by_role("img", name=re.compile("weights at step 30: 100 values"))).to_be_visible()
    expect(page.get_by_role("article", name="speech").locator("audio")).to_have_attribute("src", re.compile("^blob:"))
    slider.press("Home")
    expect(page.get_by_role("article", name="speech")).to_contain_text("the first is at step 20")


def test_all_steps_of_a_picture_are_a_grid(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=media")
    worst = page.get_by_role("article", name="val/worst")
    worst.get_by_role("button", name="All steps").click()
    expect(worst.get_by_role("button", name=re.compile("^Show step"))).to_have_count(len(STEPS))
    expect(worst.get_by_role("img")).to_have_count(len(STEPS))
    worst.get_by_role("button", name="Show step 10").click()
    expect(page.get_by_role("slider", name="Step")).to_have_attribute("aria-valuetext", "step 10")


def test_tables_and_points_are_shown(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=media")
    table = page.get_by_role("article", name="errors")
    expect(table.get_by_role("cell", name="0.jpg", exact=True)).to_be_visible()
    table.get_by_role("button", name="Further rows").click()
    expect(table.get_by_role("cell", name="10.jpg", exact=True)).to_be_visible()
    expect(table).to_contain_text("rows 11 to 20 of 25")
    expect(page.get_by_role("img", name=re.compile("embedding at step 20: 3 points in space"))).to_be_visible()


@pytest.mark.parametrize("where", ["tab=media", "tab=artifacts&file=page.html"])
def test_logged_html_is_read_and_never_run(page: Page, run: Run, where: str) -> None:
    page.goto(f"/runs/{run.id}?{where}")
    inside = page.frame_locator("iframe")
    expect(inside.locator("#word")).to_have_text("still")
    expect(inside.get_by_role("heading", name=re.compile("Step"))).to_be_visible()
    expect(page).to_have_title(re.compile("seed 0"))
    origin = page.frames[-1].evaluate("self.origin")
    assert origin == "null", "the frame has no origin of ours"


def test_media_are_shown_behind_a_token(browser: Browser, workspace: Workspace, run: Run) -> None:
    with served(workspace, token="open-sesame") as url:
        context = browser.new_context(base_url=url)
        page = context.new_page()
        page.goto(f"/runs/{run.id}?tab=media")
        page.get_by_label("Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("img", name="val/worst at step 50: bird 50")).to_be_visible()
        page.get_by_role("article", name="report").scroll_into_view_if_needed()
        expect(page.frame_locator("iframe").locator("#word")).to_have_text("still")
        context.close()


def test_a_figure_with_a_script_runs_when_asked_and_reaches_nothing(page: Page, workspace: Workspace) -> None:
    contents = {"000000000.html": PROGRAM, "plotly.min.js": "function draw(place) { place.textContent = 'drawn $&' }"}
    kept = []
    for name, text in contents.items():
        blob = workspace.stores.artifacts.put(text.encode())
        kept.append(ArtifactEntry(f"media/figure/surface/{name}", blob.digest, blob.size_bytes))
    with workspace.experiments.run("figures", console=False, system_every_s=0) as run:
        workspace.stores.runs.log(run.id, RunBatch(artifacts=tuple(kept)))
    page.goto(f"/runs/{run.id}?tab=media")
    expect(page.locator("iframe")).to_have_count(0)
    page.get_by_role("button", name="Draw the figure").click()
    inside = page.frame_locator("iframe")
    expect(inside.locator("#figure")).to_have_text("drawn $&")
    expect(inside.locator("body")).to_have_attribute("data-fetch", "refused")
    expect(inside.locator("body")).to_have_attribute("data-parent", "refused")


def test_a_logged_svg_is_a_picture_and_nothing_else(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=artifacts&file=plots/dot.svg")
    expect(page.get_by_role("img", name="plots/dot.svg")).to_have_attribute("src", re.compile("^data:image/svg"))
    expect(page).to_have_title(re.compile("seed 0"))


def test_files_are_a_tree_with_a_preview(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=artifacts")
    page.get_by_role("button", name=re.compile("^data 1 file")).click()
    page.get_by_role("button", name="data/people.csv").click()
    preview = page.get_by_role("region", name="data/people.csv")
    expect(preview.get_by_role("columnheader")).to_have_text(["name", "age"])
    expect(preview.get_by_role("cell", name="ann")).to_be_visible()
    page.get_by_role("button", name=re.compile("^config 1 file")).click()
    page.get_by_role("button", name="config/model.json").click()
    expect(page.locator(".code pre")).to_contain_text('"threshold": [')
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "model.json"


def test_a_file_that_is_not_there_is_said_so(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=artifacts&file=data/nobody.csv")
    expect(page.get_by_role("alert")).to_contain_text("The run has no file 'data/nobody.csv'")


def test_lineage_is_drawn_on_the_page(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}")
    page.get_by_role("tab", name="Lineage").click()
    graph = page.get_by_role("group", name=re.compile(f"Lineage of run:{run.id}"))
    expect(graph.get_by_role("link", name="dataset:birds@1")).to_be_visible()
    expect(page.locator(".both-ways")).to_contain_text("trained on dataset birds@1")


def test_what_was_printed_is_searched(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=console")
    expect(page.locator(".code pre")).to_have_text("epoch 1\nepoch 2\ndone\n")
    page.get_by_label("Find in the output").fill("DONE")
    expect(page.locator(".code pre")).to_have_text("done")


def test_the_environment_is_searched(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=environment")
    expect(page.get_by_text("numpy", exact=True)).to_be_visible()
    page.get_by_label("Find in the environment").fill("no such thing")
    expect(page.get_by_text("None is called that.")).to_be_visible()


def test_notes_are_written_and_read_as_text(page: Page, workspace: Workspace, run: Run) -> None:
    page.goto(f"/runs/{run.id}?tab=notes")
    page.get_by_role("button", name=re.compile("Write a note|Edit")).click()
    page.get_by_label("Notes, in Markdown").fill("It is **good** <b id=bold>really</b>")
    page.get_by_role("button", name="Save").click()
    # the preview shows it at once; saved it is when it can be edited again
    expect(page.get_by_role("button", name="Edit")).to_be_visible()
    expect(page.locator(".prose strong")).to_have_text("good")
    expect(page.locator("#bold")).to_have_count(0)
    assert workspace.stores.runs.get(run.id).tags["mlflow.note.content"].startswith("It is **good**")


def test_experiments_are_in_folders(page: Page) -> None:
    page.goto("/experiments")
    expect(page.get_by_role("link", name="Plain things")).to_be_visible()
    page.get_by_role("button", name=re.compile("^vision 3 experiments")).click()
    page.get_by_role("button", name=re.compile("^resnet 2 experiments")).click()
    leaf = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="ablation"))
    expect(leaf.last).to_contain_text("2 runs")
    page.get_by_label("Find an experiment").fill("VIT")
    expect(page.locator(".folder-leaf")).to_have_text([re.compile("vision/vit")])
    page.get_by_label("Find an experiment").fill("nothing like it")
    expect(page.get_by_role("heading", name="No experiment is called that")).to_be_visible()


def test_a_folder_leads_to_its_runs(page: Page) -> None:
    page.goto("/experiments")
    page.get_by_role("link", name="Runs in vision").click()
    expect(page).to_have_url(re.compile("folder=vision"))
    expect(page.locator("tbody tr")).to_have_count(4)
    page.goto("/experiments?under=vision/resnet")
    page.get_by_role("link", name="ablation").click()
    expect(page).to_have_url(re.compile("experiment=vision%2Fresnet%2Fablation"))
    expect(page.locator("tbody tr")).to_have_count(2)


def test_the_same_media_of_two_runs_stand_side_by_side(page: Page, runs: tuple[Run, Run]) -> None:
    page.goto(f"/compare?runs={runs[0].id},{runs[1].id}&tab=media")
    row = page.get_by_role("region", name="image val/worst")
    expect(row.get_by_role("img", name="val/worst at step 50: bird 50")).to_have_count(2)
    page.get_by_role("slider", name="Step").press("Home")
    expect(row.get_by_role("img", name="val/worst at step 0: bird 0")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits_a_phone(page: Page, run: Run, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for tab in (
        "overview",
        "media",
        "artifacts&file=data/people.csv",
        "code",
        "environment",
        "lineage",
        "console",
        "notes",
    ):
        page.goto(f"/runs/{run.id}?tab={tab}")
        selected = page.get_by_role("tab", selected=True)
        expect(selected).to_be_in_viewport()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{tab} would scroll sideways"
    for path in ("/experiments", "/experiments?under=vision/resnet", "/runs?folder=vision"):
        page.goto(path)
        expect(page.locator(".card")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{path} would scroll sideways"
