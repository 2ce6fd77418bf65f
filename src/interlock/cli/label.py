"""List label sets, and say how far their annotators agree."""

from __future__ import annotations

from collections import Counter

from cyclopts import App

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, fields, listing, table
from interlock.core.units import human_count
from interlock.labels.agreement import judgements, krippendorff_alpha, percent_agreement
from interlock.workspace import open_workspace

app = App(name="label", help="List label sets and how far annotators agree.")


@app.command(name="list")
def list_(name: str | None = None, /, *, limit: int = 100, session: Here) -> Answer:
    """List label sets, newest first.

    Args:
        name: Only the versions of this one.
        limit: At most so many.
    """
    wanted = name_of(name, kind="labels") if name else None
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.labels.label_sets(name=wanted, limit=limit)
    columns = {
        "labels": lambda labels: labels.ref,
        "count": lambda labels: human_count(labels.count),
        "up to": lambda labels: labels.as_of,
        "frozen": lambda labels: labels.created_at,
    }
    return listing(found, columns, empty="no label sets yet: workspace.labels.freeze(…) makes one")


@app.command
def show(labels: str, /, *, session: Here) -> Answer:
    """Show one label set: its values, its annotators, and how far they agree.

    Args:
        labels: A Ref (`labels:outcomes@2`); without a version, the newest.
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.labels.get(labels)
        annotations = workspace.labels.annotations(labels)
    items = judgements(annotations)
    values = Counter(str(annotation.value) for annotation in annotations)
    annotators = Counter(annotation.annotator for annotation in annotations)
    facts = {
        "labels": found.ref,
        "count": human_count(found.count),
        "items": human_count(len(items)),
        "up to": found.as_of,
        "agreement": percent_agreement(items),
        "Krippendorff's alpha": krippendorff_alpha(items),
    }
    counted = {"count": lambda pair: human_count(pair[1])}
    return Answer(
        {"labels": found, "values": values, "annotators": annotators, "agreement": facts["agreement"]},
        (
            fields(facts),
            table(values.most_common(10), {"value": lambda pair: pair[0], **counted}),
            table(annotators.most_common(10), {"annotator": lambda pair: pair[0], **counted}),
        ),
    )
