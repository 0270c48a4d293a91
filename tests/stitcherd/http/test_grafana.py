"""The dashboard that is shipped asks only for metrics that the daemon has, with labels that they have."""

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.locations import shipped_file
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.test_metrics import LABELS

DASHBOARD = json.loads(shipped_file("grafana.json").read_text())
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


async def test_each_query_names_metrics_that_there_are(api: HttpHarness) -> None:
    text = await (await api.local.session.get("http://d/metrics")).text()
    families = list(text_string_to_metric_families(text))
    known = {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}
    asked = {name for query in queries() for name in re.findall(r"\b(?:stitcher|process)_\w+", query)}
    assert asked <= known
    ours = {family.name for family in families if family.name.startswith("stitcher_")}
    shown = {name for name in ours if any(each.startswith(name) for each in asked)}
    assert shown == ours, "the dashboard shows every metric of ours"


@pytest.mark.parametrize("query", queries())
def test_each_query_groups_by_labels_that_there_are(query: str) -> None:
    named = [name for group in re.findall(r"(?:by|on) \(([^)]*)\)", query) for name in group.split(", ")]
    compared = re.findall(r"\{(\w+)=", query)
    assert {*named, *compared} <= LABELS | {"instance"}


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
