"""Pipelines in the web interface: the list, the history as a grid, the graph, live, large, and one step call."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from interlock.core.errors import StepFailed
from interlock.core.ids import new_id
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step
from interlock.ports.run_store import Run
from interlock.ports.step_cache import Advance, GraphNode
from interlock.ports.trigger_store import Trigger
from interlock.server.ui_files import DIST
from interlock.workspace import Workspace, open_workspace
from tests.journeys.lived_in import served

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
START = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@step
def load(day: str) -> pa.Table:
    print("reading", day)
    return pa.table({"origin": ["EWR", "JFK"] * 15, "delay": list(range(30))})


@step
def fit(flights: pa.Table, alpha: float) -> float:
    return alpha * flights.num_rows


@step
def best(scores: list[float], wanted: bool) -> float:
    if not wanted:
        raise ValueError("there is no score")
    return max(scores)


@pipeline
def nightly(day: str = "2026-01-01", wanted: bool = True) -> object:
    flights = load(day)
    return best([fit(flights, alpha / 10) for alpha in range(4)], wanted)


def begin(workspace: Workspace, name: str, *nodes: GraphNode) -> str:
    """Record a run of a pipeline that goes on."""
    run = workspace.stores.runs.create(Run(new_id(), name, "pipeline", name, "running", START))
    write(workspace, run.id, *nodes)
    return run.id


def write(workspace: Workspace, run: str, *nodes: GraphNode) -> None:
    workspace.stores.steps.advance(Advance(run, "somebody", START, nodes=nodes))


def end(workspace: Workspace, run: str) -> None:
    workspace.stores.runs.end(run, status="finished", ended_at=START + timedelta(seconds=5))


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
        opened.pipelines.run(nightly)
        with pytest.raises(StepFailed):
            opened.pipelines.run(nightly, wanted=False)
        order = {"target": "train.py:nightly", "folder": "/", "arguments": {"day": "{date}"}}
        opened.stores.triggers.apply(Trigger("at-four", "pipeline", cron="0 4 * * *", params=order))
        opened.stores.triggers.apply(Trigger("again", "retrain", on="alert.opened", params={"recipe": "delay"}))
        yield opened


@pytest.fixture(scope="module")
def url(workspace: Workspace) -> Iterator[str]:
    with served(workspace) as address:
        yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def large(workspace: Workspace) -> str:
    """Five hundred steps, each another."""
    draw, nodes = random.Random(1), []
    for number in range(500):
        layer = number // 20
        inputs = tuple(sorted(draw.sample(range((layer - 1) * 20, layer * 20), 2))) if layer else ()
        nodes.append(GraphNode(number, f"part_{number:03d}", "finished", inputs, duration_s=1.0, change=1))
    run = begin(workspace, "large", *nodes)
    end(workspace, run)
    return run


def runs_of(workspace: Workspace, status: str) -> str:
    return next(run.id for run in workspace.stores.runs.runs() if run.name == "nightly" and run.status == status)


def test_pipelines_are_listed_with_what_starts_them(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Pipelines", exact=True).click()
    row = page.get_by_role("region", name="Pipelines", exact=True).get_by_role("row").filter(has_text="nightly")
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("at-four")
    expect(row.locator(".strip a")).to_have_text(["✗", "✓"])
    schedules = page.get_by_role("region", name="Schedules of pipelines")
    expect(schedules).to_contain_text(re.compile(r"0 4 \* \* \* UTC\s*in "))
    expect(page.get_by_role("region", name="Other triggers")).to_contain_text("on alert.opened")
    row.get_by_role("link", name="nightly").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nightly")


def test_the_history_is_a_grid_that_leads_to_the_calls(page: Page, workspace: Workspace) -> None:
    page.goto("/pipelines/nightly")
    grid = page.get_by_role("region", name="Runs by step")
    expect(grid.get_by_role("rowheader")).to_have_text(["load", "fit", "best"])
    expect(grid.locator("tbody td a")).to_have_text(["↺", "✓", "↺4", "✓4", "✗", "✓"])
    failed = grid.get_by_role("link", name=re.compile("^best: failed"))
    expect(failed).to_have_attribute("title", re.compile("step 'best' failed"))
    failed.click()
    expect(page).to_have_url(re.compile(f"/pipelines/nightly/runs/{runs_of(workspace, 'failed')}\\?node=5"))
    call = page.get_by_role("complementary", name="Step call")
    expect(call.get_by_role("region", name="Why it failed")).to_contain_text("there is no score")


def test_the_graph_of_a_failed_run_says_how_to_go_on(page: Page, workspace: Workspace) -> None:
    run = runs_of(workspace, "failed")
    page.goto(f"/runs/{run}")
    page.get_by_role("link", name="Graph").click()
    expect(page.get_by_role("region", name="Why it failed")).to_contain_text("ValueError: there is no score")
    graph = page.get_by_role("group", name=re.compile("Graph of the steps"))
    expect(graph.get_by_role("button", name=re.compile("^load: reused"))).to_be_visible()
    expect(graph.get_by_role("button", name=re.compile("^fit: reused, 4 calls"))).to_be_visible()
    expect(graph.get_by_role("button", name=re.compile("^best: failed"))).to_be_visible()
    expect(graph.locator(".step-edge")).to_have_count(2)
    expect(page.get_by_text(f"interlock pipeline resume run:{run}", exact=True)).to_be_visible()
    page.get_by_label("each call apart").check()
    expect(graph.locator(".step-node")).to_have_count(6)
    expect(graph.locator(".step-edge")).to_have_count(8)


def test_a_node_opens_with_its_inputs_its_output_and_its_log(page: Page, workspace: Workspace) -> None:
    page.goto(f"/pipelines/nightly/runs/{runs_of(workspace, 'finished')}")
    graph = page.get_by_role("group", name=re.compile("Graph of the steps"))
    graph.get_by_role("button", name=re.compile("^load")).press("Enter")
    call = page.get_by_role("complementary", name="Step call")
    expect(call.get_by_role("region", name="Why")).to_contain_text("first run")
    expect(call.get_by_role("region", name="Inputs")).to_contain_text("2026-01-01")
    expect(call.get_by_role("columnheader")).to_have_text(["origin", "delay"])
    expect(call.get_by_role("region", name="Output", exact=True)).to_contain_text("first 10 of 30 rows, 2 columns")
    expect(call.get_by_role("region", name="Log")).to_contain_text("reading 2026-01-01")
    graph.get_by_role("button", name=re.compile("^fit")).click()
    expect(call.get_by_role("heading", level=2)).to_contain_text("fit")
    expect(call.get_by_role("region", name="Output", exact=True)).to_contain_text("0.0")
    call.get_by_text("output of load").click()
    expect(call.get_by_role("region", name="Inputs").get_by_role("cell", name="EWR").first).to_be_visible()
    alike = call.get_by_role("region", name="Calls drawn together")
    alike.get_by_role("button", name="4").click()
    expect(call.get_by_role("region", name="Output", exact=True)).to_contain_text("9.0")
    call.get_by_role("link", name=re.compile("^run")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("fit")


def test_a_running_graph_moves_by_itself(page: Page, workspace: Workspace) -> None:
    one = GraphNode(0, "one", "running", change=1)
    run = begin(workspace, "live", one)
    page.goto(f"/pipelines/live/runs/{run}?node=0")
    graph = page.get_by_role("group", name=re.compile("Graph of the steps"))
    expect(graph.get_by_role("button", name="one: running")).to_be_visible()
    expect(page.get_by_text(f"interlock pipeline cancel run:{run}", exact=True)).to_be_visible()
    write(workspace, run, GraphNode(0, "one", "finished", change=2, duration_s=2.0, reason="first run"))
    expect(graph.get_by_role("button", name="one: executed, 2.0 s")).to_be_visible()
    expect(page.get_by_role("complementary").get_by_role("region", name="Why")).to_contain_text("first run")
    write(workspace, run, GraphNode(1, "two", "running", (0,), change=3))
    expect(graph.get_by_role("button", name="two: running")).to_be_visible()
    expect(graph.locator(".step-edge")).to_have_count(1)
    write(workspace, run, GraphNode(1, "two", "finished", (0,), change=4))
    end(workspace, run)
    expect(page.locator(".page-about")).to_contain_text("finished")
    expect(graph.get_by_role("button", name="two: executed")).to_be_visible()


def test_five_hundred_steps_can_be_read_and_searched(page: Page, large: str) -> None:
    page.goto(f"/pipelines/large/runs/{large}")
    graph = page.get_by_role("group", name=re.compile("Graph of the steps"))
    expect(graph.locator(".step-node")).to_have_count(500)
    names = graph.locator(".step-name")
    expect(names.first).to_be_visible()
    sizes = names.evaluate_all("(texts) => texts.map((text) => text.getBoundingClientRect().height)")
    assert min(sizes) > 11, "a name is as large as other small words of the page"
    overlaps = graph.locator(".step-node > rect:first-of-type").evaluate_all("""(boxes) => {
      const places = boxes.map((box) => box.getBoundingClientRect());
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      return places.flatMap((one, at) => places.slice(at + 1).filter((other) => meet(one, other))).length;
    }""")
    assert overlaps == 0
    page.get_by_label("Find a step").fill("part_477")
    expect(graph.get_by_role("button", name=re.compile("^part_477"))).to_be_in_viewport()
    expect(page.get_by_role("status").filter(has_text="found")).to_have_text("1 found")
    page.get_by_role("button", name="Show all").click()
    expect(graph.get_by_role("button", name=re.compile("^part_000"))).to_be_in_viewport()
    expect(graph.get_by_role("button", name=re.compile("^part_499"))).to_be_in_viewport()
    expect(names.first).to_be_hidden()
    before = graph.get_attribute("viewBox")
    graph.press("+")
    expect(graph).not_to_have_attribute("viewBox", str(before))


def test_empty_and_unknown_are_worded(browser: Browser, page: Page, workspace: Workspace) -> None:
    with open_workspace("memory:") as empty, served(empty) as url:
        alone = browser.new_page()
        alone.goto(f"{url}/pipelines")
        expect(alone.get_by_role("heading", name="No pipeline has run")).to_be_visible()
        expect(alone.get_by_text("interlock pipeline run train.py:nightly", exact=True)).to_be_visible()
        end(empty, begin(empty, "first"))
        alone.reload()
        expect(alone.get_by_role("heading", name="No pipeline starts by itself")).to_be_visible()
        alone.close()
    page.goto("/pipelines/nigthly")
    expect(page.get_by_role("alert")).to_contain_text("did you mean 'nightly'")
    page.goto(f"/pipelines/nightly/runs/{new_id()}")
    expect(page.get_by_role("alert")).to_contain_text("IL404")
    run = begin(workspace, "bare")
    end(workspace, run)
    page.goto(f"/pipelines/bare/runs/{run}")
    expect(page.get_by_role("heading", name="It called no step")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(page: Page, workspace: Workspace, large: str, scheme: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    run = runs_of(workspace, "finished")
    shown = {
        "/pipelines": ".strip, .table",
        "/pipelines/nightly": ".history",
        f"/pipelines/nightly/runs/{run}?node=0": ".call .table",
        f"/pipelines/large/runs/{large}": ".step-node",
    }
    for path, part in shown.items():
        page.goto(path)
        expect(page.locator(part).first).to_be_attached()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{path} would scroll sideways"
    assert complaints == []
