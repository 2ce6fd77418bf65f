"""Print what was measured: the two tables, the start, the speed on the wall, and the bars."""

from __future__ import annotations

import statistics
from typing import Any

from serving_peers.catalogue import INTERLOCK, INTERLOCK_COMPILED, INTERLOCK_NATIVE, OURS, PEERS
from serving_peers.fitted import TITLES
from serving_peers.wire import FORMATS

AT = 16
"""The number of connections at which CPU is compared."""
ONE_ROW_MS, READY_CPU_S, MEMORY_MB = 0.06, 0.5, 100
RATIOS = {"MLServer": 15, "KServe": 15, "MLflow": 20, "FastAPI": 8}
NOISE = 1.1
"""By how much two runs of the same differ on a quiet machine."""


class Found:
    """The figures, as the tables ask for them."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.plan = found["plan"]
        self.figures: dict[str, dict[str, Any]] = found["figures"]
        self.weights = found["weights"]
        self.left_out: dict[str, str] = found["left_out"]
        self.at = AT if AT in self.plan["connections"] else self.plan["connections"][0]

    def lines(self, *names: str) -> list[tuple[str, str, str]]:
        """Return name, format and title of each line there are figures for."""
        return [
            (peer.name, form, f"{peer.title}, {FORMATS[form].title}" if len(peer.formats) > 1 else peer.title)
            for peer in PEERS
            for form in peer.formats
            if peer.name in self.figures and (not names or peer.name in names)
        ]

    def cell(self, name: str, form: str, model: str, rows: int, connections: int | None = None) -> dict[str, Any]:
        """Return one cell, or nothing."""
        wanted = (form, rows, connections or self.at)
        cells = self.figures.get(name, {}).get(model, {}).get("cells", [])
        return next((one for one in cells if (one["format"], one["rows"], one["connections"]) == wanted), {})

    def cpu_ms(self, name: str, form: str, model: str, rows: int) -> float | None:
        return self.cell(name, form, model, rows).get("cpu_ms")

    def median(self, name: str, what: str) -> float:
        return statistics.median(one[what] for one in self.figures[name].values())


def show(found: dict[str, Any]) -> None:
    """Print everything."""
    figures = Found(found)
    plan = figures.plan
    print(
        f"CPU ms per request of the whole server tree, {figures.at} connections, {plan['seconds']:g} s each; "
        f"load from {plan['loader']}. In brackets: how many times what Interlock takes."
    )
    peers = [peer.name for peer in PEERS if peer.name not in OURS]
    _cpu(figures, "1. The same engine (scikit-learn) on both sides", INTERLOCK_NATIVE, peers, leave="floor-onnx")
    _cpu(figures, "2. Each as it would be deployed", INTERLOCK, [INTERLOCK_COMPILED, *peers], leave="")
    engines = {model: one["platform"] for model, one in figures.figures.get(INTERLOCK, {}).items()}
    print("Interlock chose for one row: " + ", ".join(f"{model} {engine}" for model, engine in engines.items()))
    _start(figures)
    _wall(figures)
    _bars(figures)
    for peer in PEERS:
        for model, one in figures.figures.get(peer.name, {}).items():
            if one["wrong_rows"]:
                rows = f"{one['wrong_rows']} of {max(plan['rows'])} answers"
                print(f"WRONG: {peer.title}, {model}: {rows} are not scikit-learn's, by up to {one['off']:.2g}")
    for title, reason in figures.left_out.items():
        print(f"left out: {title}: {' '.join(reason.split())[-300:]}")


def _cpu(found: Found, title: str, ours: str, peers: list[str], *, leave: str) -> None:
    columns = [(model, rows) for rows in found.plan["rows"] for model in found.plan["models"]]
    print(f"\n{title}")
    print(f"{'':44}" + "".join(f"{f'{model} × {rows}':>20}" for model, rows in columns))
    for name, form, line in found.lines(ours, *(peer for peer in peers if peer != leave)):
        text = ""
        for model, rows in columns:
            cost, base = found.cpu_ms(name, form, model, rows), found.cpu_ms(ours, "oip", model, rows)
            ratio = "" if name in OURS or not cost or not base else f" ({cost / base:.1f}×)"
            text += f"{'-' if cost is None else f'{cost:.3f}{ratio}':>20}"
        print(f"{line:44}{text}")


def _start(found: Found) -> None:
    print("\n3. To be ready, and to be there (median of the models; memory after a warm-up)")
    heads = ("CPU-s ready", "s ready", "processes", "RSS MB", "PSS MB", "idle CPU %", "env MB", "packages")
    print(f"{'':44}" + "".join(f"{head:>12}" for head in heads))
    for name in found.figures:
        peer = next(one for one in PEERS if one.name == name)
        size, packages = found.weights.get(name) or (None, None)
        median = {what: found.median(name, what) for what in ("ready_cpu_s", "ready_s", "rss_mb", "pss_mb", "idle_cpu")}
        texts = [f"{median['ready_cpu_s']:.2f}", f"{median['ready_s']:.2f}", f"{found.median(name, 'processes'):.0f}"]
        texts += [f"{median['rss_mb']:.0f}", f"{median['pss_mb']:.0f}", f"{100 * median['idle_cpu']:.1f}"]
        texts += ["-" if size is None else f"{size:.0f}", "-" if packages is None else str(packages)]
        print(f"{peer.title:44}" + "".join(f"{text:>12}" for text in texts))


def _wall(found: Found) -> None:
    print("\n4. By connections: CPU ms, requests/s on the wall, p50 and p99 in ms; last the generator's own CPU ms")
    for rows in found.plan["rows"]:
        for model in found.plan["models"]:
            title = f"{TITLES[model]} × {rows}"
            print(f"{title:44}" + "".join(f"{f'at {n}':>32}" for n in found.plan["connections"]))
            for name, form, line in found.lines():
                text = ""
                for connections in found.plan["connections"]:
                    cell = found.cell(name, form, model, rows, connections)
                    shown = "{cpu_ms:.3f}{rps:8.0f}{p50_ms:8.2f}{p99_ms:8.2f}".format(**cell) if cell else "-"
                    text += f"{shown:>32}"
                own = found.cell(name, form, model, rows).get("load_cpu_ms")
                print(f"  {line:42}{text}{'' if own is None else f'{own:9.4f}'}")


def _bars(found: Found) -> None:
    if INTERLOCK not in found.figures:
        return
    print("\n5. The bars")
    print(f"{'':66}{'bar':>14}{'measured':>14}")
    models = found.plan["models"]
    form = "oip"
    for model in models:
        one = found.figures[INTERLOCK].get(model)
        if one:
            _bar(f"answers that are not scikit-learn's: {model}", one["wrong_rows"], 0, "rows")
    for model in models:
        got = found.cpu_ms(INTERLOCK, form, model, 1)
        _bar(f"one row, OIP JSON, checked and logged: {model}", got, ONE_ROW_MS, "ms CPU")
    _bar("ready to answer", found.median(INTERLOCK, "ready_cpu_s"), READY_CPU_S, "CPU-s")
    _bar("memory (RSS)", found.median(INTERLOCK, "rss_mb"), MEMORY_MB, "MB")
    for group, least in RATIOS.items():
        for name in (peer.name for peer in PEERS if peer.group == group):
            for _, spoken, line in found.lines(name):
                for model in models:
                    theirs, ours = (found.cpu_ms(*who, model, 1) for who in ((name, spoken), (INTERLOCK, form)))
                    if theirs and ours:
                        _bar(f"one row against {line}: {model}", theirs / ours, least, "×", at_least=True)
    for model in models:
        ways = [found.cpu_ms(name, form, model, 512) for name in (INTERLOCK_NATIVE, INTERLOCK_COMPILED)]
        ours, best = found.cpu_ms(INTERLOCK, form, model, 512), [cost for cost in ways if cost]
        if ours and best:
            _bar(f"512 rows, against the better of native and compiled: {model}", ours, min(best) * NOISE, "ms CPU")


def _bar(title: str, got: float | None, bar: float, unit: str, *, at_least: bool = False) -> None:
    if got is None:
        print(f"{title:66}{'-':>14}{'-':>14}  not measured")
        return
    met = got >= bar if at_least else got <= bar
    sign = "≥" if at_least else "≤"
    print(f"{title:66}{f'{sign} {bar:.3g} {unit}':>14}{f'{got:.3g} {unit}':>14}  {'met' if met else 'MISSED'}")
