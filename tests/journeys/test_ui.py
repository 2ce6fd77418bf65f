"""The web interface in a real browser, over the real server."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from interlock.core.ids import new_id
from interlock.server.ui_files import DIST
from interlock.workspace import Workspace, open_workspace
from tests.journeys.lived_in import fill, served

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TOKENS = Path(__file__).parents[2] / "ui" / "src" / "design" / "tokens.css"
PAGES = {
    "/": None,
    "/datasets": "Data",
    "/datasets/flights": "flights",
    "/runs": "Runs",
    "/runs?all=yes&order=started_at+ASC": "Runs",
    "/pipelines": "Pipelines",
    "/pipelines/training": "training",
    "/compare": "Compare",
    "/experiments": "Experiments",
    "/models": "Models",
    "/models/delay": "delay",
    "/models/delay?tab=gate": "delay",
    "/models/delay?tab=aliases": "delay",
    "/models/delay?tab=card": "delay",
    "/endpoints": "Endpoints",
    "/endpoints/delay": "delay",
    "/endpoints/delay?tab=versions": "delay",
    "/endpoints/delay?tab=predictions": "delay",
    "/endpoints/delay?tab=try": "delay",
    "/endpoints/delay?tab=routing": "delay",
    "/endpoints/delay?tab=call": "delay",
    "/monitors": "Monitors",
    "/monitors/delay-auc": "delay-auc",
    "/lineage": "Lineage",
    "/lineage?ref=model:delay@1": "Lineage",
    "/lineage?ref=model:delay@1&depth=32": "Lineage",
    "/trace": "Trace",
    "/trace?ref=model:delay@1": "delay@1",
    "/datasets/flights?version=1": "flights",
    "/predictions/UA9-2013-12-23": "UA9-2013-12-23",
    "/no/such/page": "Nothing here",
}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert (DIST / "index.html").is_file(), "the web interface is not built: python ui/build.py"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with open_workspace("memory:") as opened:
        fill(opened)
        yield opened


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    with served(workspace) as address:
        yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def test_the_home_page_shows_every_station_of_both_loops(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".station")).to_have_count(13)
    expect(page.locator(".ring-model .station")).to_have_count(7)
    expect(page.locator("[data-station=registry]")).to_contain_text("3 model versions")
    expect(page.locator("[data-station=gate]")).to_contain_text("refused delay@3")
    expect(page.locator("[data-station=monitor]")).to_have_attribute("data-state", "attention")
    expect(page.get_by_role("region", name="Live model")).to_contain_text("delay@1")
    expect(page.get_by_role("region", name="Open alerts")).to_contain_text("delay-drift")
    page.locator("[data-station=registry] a").click()
    expect(page).to_have_url(re.compile("/models$"))


LONG = {
    "monitor": "open: psi of destination_delay_3h is 0.633, threshold above 0.25, on 6,333 rows from 2013-12-06 00:00",
    "deploy": "live delay@11 · canary delay@12 · shadow delay@13",
    "gate": "refused fraud-detector-emea@128",
    "retrain": "refused fraud-detector-emea@128",
}
OVERLAPS = """() => {
  const isSeen = (part) => part.matches(".node") || (!part.children.length && !part.matches(".visually-hidden"));
  const place = (part) => {
    if (part.matches(".node")) return part.getBoundingClientRect();
    const text = document.createRange();
    text.selectNodeContents(part);
    return text.getBoundingClientRect();
  };
  const things = [...document.querySelectorAll(".station, .ring-name")].map((thing) => ({
    words: thing.textContent,
    places: [...thing.querySelectorAll(".node, .ring-name *, .station-words *")].filter(isSeen).map(place),
  }));
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  return things.flatMap((one, at) =>
    things.slice(at + 1).filter((other) => one.places.some((a) => other.places.some((b) => meet(a, b))))
      .map((other) => `${one.words} / ${other.words}`));
}"""


@pytest.mark.parametrize("width", [1280, 1440, 1920, 390])
@pytest.mark.parametrize("state", ["active", "attention"])
def test_no_words_of_the_figure_lie_on_each_other(page: Page, width: int, state: str) -> None:
    def in_that_state(route: Route) -> None:
        answer = route.fetch()
        view = answer.json()
        for station in view["stations"]:
            station |= {"state": state, "headline": LONG.get(station["id"], station["headline"]), "count": 2134}
        route.fulfill(response=answer, json=view)

    page.route("**/api/v1/loop", in_that_state)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/")
    expect(page.locator(f".station.is-{state}")).to_have_count(13)
    assert page.evaluate(OVERLAPS) == []
    figure = "open: psi of destination_delay_3h is 0.633"
    expect(page.locator("[data-station=monitor] .station-headline")).to_have_text(figure)


def test_what_happens_shows_without_a_reload(page: Page, workspace: Workspace) -> None:
    page.goto("/")
    expect(page.locator(".connection-live")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    workspace.stores.models.set_alias("delay", "challenger", version=3, reason="worth a look")
    page.wait_for_selector(".pulse-model", state="attached")
    expect(page.locator("[data-kind='model.alias_set']").first).to_contain_text("worth a look")
    version = workspace.stores.models.get("delay")
    workspace.stores.models.add_version(version)
    expect(page.locator("[data-station=registry]")).to_contain_text("4 model versions")
    assert page.evaluate("window.sameDocument") is True


def test_a_page_misses_nothing_while_the_server_is_away(browser: Browser, workspace: Workspace) -> None:
    context = browser.new_context()
    page = context.new_page()
    with served(workspace) as url:
        page.goto(url)
        expect(page.locator(".connection-live")).to_be_visible()
    expect(page.locator(".connection-lost")).to_have_text("Reconnecting")
    workspace.stores.journal.append("trigger.fired", "trigger:while-away", payload={"reason": "nobody looked"})
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("alert")).to_contain_text("server does not answer")
    page.get_by_role("link", name="Loop").click()
    with served(workspace, port=urlsplit(url).port or 0):
        expect(page.locator(".connection-live")).to_be_visible(timeout=15_000)
        expect(page.locator("[data-kind='trigger.fired']")).to_contain_text("nobody looked")
    context.close()


def test_everything_is_reached_by_the_keyboard(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".node").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url(re.compile("/runs$"))
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Go to a Ref")).to_be_focused()
    page.keyboard.type("model:delay@2")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/models/delay\?version=2$"))
    expect(page.get_by_role("heading", name="Version 2")).to_be_visible()
    page.get_by_role("tab", name="Versions").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Gate")).to_be_focused()
    expect(page.locator(".board tbody tr")).to_have_count(2)
    expect(page.locator(".candidate[open] .forest-plot")).to_have_count(3)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


def test_lineage_is_moved_and_zoomed_by_keys(page: Page) -> None:
    page.goto("/lineage?ref=model:delay@1")
    graph = page.get_by_role("group", name=re.compile("Lineage of model:delay@1"))
    expect(graph.get_by_role("link", name="dataset:flights@1")).to_be_visible()
    graph.focus()
    before = graph.get_attribute("viewBox") or ""
    page.keyboard.press("+")
    expect(graph).not_to_have_attribute("viewBox", before)
    assert float((graph.get_attribute("viewBox") or "").split()[2]) < float(before.split()[2])
    graph.get_by_role("link", name="dataset:flights@1").press("Enter")
    expect(page).to_have_url(re.compile("ref=dataset"))


def test_a_prediction_shows_its_way_back(page: Page, workspace: Workspace) -> None:
    page.goto("/predictions/UA9-2013-12-23")
    way = page.get_by_role("list", name="1 step back")
    near = way.locator("> .way-step")
    expect(near).to_have_count(3)
    expect(near.nth(0)).to_contain_text("answered by deployment delay/2")
    expect(near.nth(1)).to_contain_text("asked with dataset features@1")
    expect(near.nth(1)).to_contain_text("feature row flight=UA9 equal to what was served")
    expect(near.nth(2)).to_contain_text("computed by model delay@2")
    further = page.get_by_role("list", name="2 steps back").locator("> .way-step")
    produced = further.filter(has_text="produced by run")
    expect(produced).to_contain_text("commit 9f2c1e7 with uncommitted changes")
    expect(produced).to_contain_text("scikit-learn 1.9.0")
    expect(further.filter(has_text="was judged in verdict")).to_have_count(2)
    expect(page.get_by_role("list", name="3 steps back")).to_contain_text("trained on dataset flights@1")
    version = workspace.stores.models.get("delay", version=2)
    produced.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"/runs/{version.run}$"))


def test_a_row_that_was_not_what_was_served_stands_out(page: Page, workspace: Workspace) -> None:
    (seen,) = workspace.stores.predictions.find("UA9-2013-12-23")
    other = msgspec.structs.replace(
        seen.prediction, id="UA8-other", context={**seen.prediction.context, "entity": "flight=UA8"}
    )
    workspace.stores.predictions.append([other])
    page.goto("/predictions/UA8-other")
    expect(page.locator(".way .badge-bad")).to_have_text("not what was served")
    expect(page.locator(".answer-truth")).to_contain_text("not known yet")


@pytest.mark.parametrize("path", ["/models/delay?version=1", "/datasets/flights?version=1"])
def test_pages_lead_to_their_trace_both_ways(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator(".both-ways")).to_be_visible()
    page.get_by_role("link", name="Trace", exact=True).click()
    expect(page).to_have_url(re.compile(r"/trace\?ref=(model|dataset)%3A\w+%401$"))
    expect(page.get_by_role("heading", name="The way back")).to_be_visible()
    came = page.locator(".card", has=page.get_by_role("heading", name="What came of it"))
    expect(came.locator(".way-step").first).to_be_visible()


def test_a_run_leads_to_what_it_was_made_from_and_what_it_made(page: Page, workspace: Workspace) -> None:
    version = workspace.stores.models.get("delay", version=1)
    page.goto(f"/runs/{version.run}")
    both = page.locator(".both-ways")
    expect(both).to_contain_text("trained on dataset flights@1")
    both.get_by_role("link", name="delay@1").click()
    expect(page).to_have_url(re.compile(r"/models/delay\?version=1$"))


def test_lineage_at_full_depth_is_framed_and_legible(page: Page) -> None:
    page.goto("/lineage?ref=model:delay@1&depth=32")
    graph = page.get_by_role("group", name=re.compile("Lineage of model:delay@1"))
    crowd = graph.get_by_role("link", name="52 reports")
    expect(crowd).to_be_visible()
    frame = graph.bounding_box()
    assert frame is not None
    width = float((graph.get_attribute("viewBox") or "").split()[2])
    assert frame["width"] / width >= 0.68, "12 pixels of text are at least 8"
    for node in graph.get_by_role("link").all():
        box = node.bounding_box()
        assert box is not None
        assert frame["x"] <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        assert frame["y"] <= box["y"]
        assert box["y"] + box["height"] <= frame["y"] + frame["height"]
    crowd.click()
    members = page.locator(".card", has=page.get_by_role("heading", name="52 reports"))
    expect(members.get_by_role("link")).to_have_count(52)
    members.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("ref=report"))
    expect(page.get_by_role("group", name=re.compile("Lineage of report"))).to_be_visible()


def test_the_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Use the light theme").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    expect(page.get_by_role("button", name="Use the dark theme")).to_be_visible()
    assert page.evaluate(ground) == light


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_whole_and_asks_no_other_host(page: Page, url: str, path: str) -> None:
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(path)
    if PAGES[path] is not None:
        expect(page.get_by_role("heading", level=1)).to_have_text(str(PAGES[path]))
    expect(page.locator(".connection-live")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone would scroll sideways"
    assert complaints == []
    assert hosts == {urlsplit(url).netloc}


def test_a_run_shows_its_curve_its_files_and_its_diff(page: Page, workspace: Workspace) -> None:
    run = next(run for run in workspace.stores.runs.runs() if run.kind == "training")
    page.goto(f"/runs/{run.id}")
    expect(page.get_by_role("img", name=re.compile("auc by step"))).to_be_visible()
    expect(page.locator(".chart canvas")).to_be_visible()
    page.get_by_role("tab", name="Code").click()
    expect(page.locator(".diff-added")).to_have_text("+depth = 5\n")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("button", name="plots 1 file").click()
    page.get_by_role("button", name="plots/calibration.txt").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "calibration.txt"


def test_runs_are_searched_in_the_grammar_with_completion(page: Page) -> None:
    page.goto("/runs")
    box = page.get_by_role("combobox", name="Search runs")
    box.fill("stat")
    page.get_by_role("option", name="status").click()
    expect(box).to_have_value("status ")
    box.press_sequentially("= 'failed'")
    box.press("Enter")
    expect(page).to_have_url(re.compile("filter=status"))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="trial 2").click()
    expect(page.get_by_role("region", name="Why it failed")).to_have_text("ValueError: depth 0")
    page.goto("/runs?kind=trial")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.goto("/runs?filter=metrics.auc+%3E")
    expect(page.get_by_role("alert")).to_contain_text("filter")


def test_what_is_part_of_a_run_stays_out_of_the_list(page: Page) -> None:
    page.goto("/runs")
    expect(page.locator("tbody tr", has_text="weekly").locator(".kind-pipeline")).to_be_visible()
    expect(page.locator("tbody tr", has_text="trial 1")).to_have_count(0)
    page.get_by_label("with steps and trials").check()
    expect(page.locator("tbody tr", has_text="trial 1")).to_be_visible()
    page.goto("/runs")
    page.get_by_role("link", name="depths").click()
    page.get_by_role("tab", name="Children").click()
    expect(page.locator("tbody tr", has_text="trial 1")).to_be_visible()


def test_columns_are_chosen_and_remembered(page: Page) -> None:
    page.goto("/runs?all=yes")
    expect(page.get_by_role("columnheader", name="kind")).to_have_count(0)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Find a column").fill("kind")
    page.get_by_role("checkbox", name=re.compile("^kind")).check()
    expect(page.get_by_role("columnheader", name="kind")).to_be_visible()
    page.reload()
    expect(page.get_by_role("columnheader", name="kind")).to_be_visible()


def test_runs_are_ordered_and_compared(page: Page) -> None:
    page.goto("/runs?kind=trial")
    page.get_by_role("button", name="Started").click()
    expect(page).to_have_url(re.compile("order=started_at"))
    expect(page.get_by_role("button", name="Started")).to_have_attribute("aria-pressed", "true")
    for name in ("Choose trial 0", "Choose trial 2"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("link", name="Compare 2 runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare")
    expect(page.get_by_role("region", name="Differences")).to_contain_text("depth")
    page.get_by_role("tab", name="Parameters").click()
    expect(page.get_by_role("region", name="Parallel coordinates")).to_be_visible()


def test_a_pipeline_run_says_why_each_step_ran_or_did_not(page: Page, workspace: Workspace) -> None:
    run = next(run for run in workspace.stores.runs.runs() if run.kind == "pipeline" and run.status == "finished")
    page.goto(f"/runs/{run.id}")
    steps = page.get_by_role("region", name="Steps of the pipeline")
    expect(steps.locator("tbody tr")).to_have_count(2)
    first, second = steps.locator("tbody tr").all()
    expect(first).to_contain_text("reused")
    expect(first).to_contain_text("same code, inputs and libraries as run")
    expect(second).to_contain_text("executed")
    expect(second.locator("code")).to_have_text("train.DEPTH")
    expect(page.get_by_text("1 executed, 1 reused, which saved 2.5 s")).to_be_visible()
    second.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("train")


def test_a_problem_says_what_why_and_what_to_do(page: Page) -> None:
    page.goto("/lineage?ref=modle:delay")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("IL400")
    expect(problem).to_contain_text("'modle' in 'modle:delay' is not a kind of Ref")
    expect(problem).to_contain_text("did you mean 'model'")


def test_a_card_can_carry_nothing_that_runs(page: Page) -> None:
    page.goto("/models/delay?tab=card")
    card = page.locator(".prose")
    expect(card.get_by_role("cell", name="0.735")).to_be_visible()
    expect(card.get_by_role("link")).to_have_count(1)
    expect(card.locator("img")).to_have_count(0)
    expect(card).to_contain_text("[not a link](javascript:alert(1))")


def test_an_empty_workspace_says_how_to_begin(browser: Browser) -> None:
    with open_workspace("memory:") as empty, served(empty) as url:
        page = browser.new_page()
        page.goto(url)
        expect(page.get_by_role("heading", name="Set the loop turning")).to_be_visible()
        expect(page.get_by_text("interlock demo", exact=True)).to_be_visible()
        for path in ("/runs", "/pipelines", "/models", "/endpoints", "/monitors", "/datasets"):
            page.goto(url + path)
            expect(page.locator(".empty")).to_be_visible()
        page.close()


def test_a_server_with_a_token_asks_for_it_once(browser: Browser, workspace: Workspace) -> None:
    with served(workspace, token="open-sesame") as url:
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.locator(".station")).to_have_count(13)
        expect(page.locator(".connection-live")).to_be_visible()
        page.close()


def test_nothing_moves_for_those_who_asked_for_that(page: Page, workspace: Workspace) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto("/")
    expect(page.locator(".connection-live")).to_be_visible()
    page.evaluate("""() => {
      window.moved = 0;
      new MutationObserver((changes) => { window.moved += changes.length; })
        .observe(document.querySelector(".pulses"), { childList: true });
    }""")
    workspace.stores.journal.append("run.started", f"run:{new_id()}")
    expect(page.locator("[data-kind='run.started']").first).to_contain_text("just now")
    assert page.evaluate("window.moved") == 0


def test_the_pages_are_light() -> None:
    index = (DIST / "index.html").read_text()
    code = [path for path in DIST.rglob("*") if path.suffix in (".js", ".css")]
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in code}
    assert sum(sizes.values()) <= 130_000
    assert sum(size for name, size in sizes.items() if name in index) <= 60_000


def test_every_ink_can_be_read_on_its_ground() -> None:
    pairs = [(ink, ground) for ink in ("ink", "ink-muted", "ink-faint") for ground in ("bg", "surface", "sunken")]
    pairs += [
        (tone, ground)
        for tone in ("model", "software", "good", "warn", "bad")
        for ground in (f"{tone}-soft", "surface")
    ]
    pairs += [("ink-on-accent", "model"), ("ink-on-accent", "software")]
    colours = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", TOKENS.read_text()))
    for theme in (0, 1):
        shades = {name: values.split(", ")[theme] for name, values in colours.items()}
        weak = {(ink, ground): _contrast(shades[ink], shades[ground]) for ink, ground in pairs}
        assert {pair: round(ratio, 2) for pair, ratio in weak.items() if ratio < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio of relative luminances."""
    lights = sorted(_luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
