"""values.schema.json refuses what the chart does not know, with the path of the mistake."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.charts.conftest import CHART, Refused, Render

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("privileged=true", "privileged"),
        ("image.tagg=1", "tagg"),
        ("web.port=0", "/web/port"),
        ("web.port=http", "/web/port"),
        ("config.interval=1", "/config/interval"),
        ("config.cgroupParent=../x", "/config/cgroupParent"),
        ("config.cgroupParent=", "/config/cgroupParent"),
        ("host.stateDir=var/lib", "/host/stateDir"),
        ("host.rootDirectories={relative}", "/host/rootDirectories/0"),
        ("image.digest=sha256:short", "/image/digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        (r"policies.Bad\.txt=x", "Bad.txt"),
        ("serviceMonitor.enabled=true", "/serviceMonitor/tokenSecret/name"),
        ("maxUnavailable=most", "/maxUnavailable"),
        ("tolerations[0].operatr=Exists", "operatr"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(render: Render, setting: str, place: str) -> None:
    with pytest.raises(Refused, match="(?s).*" + place.replace(".", r"\.")):
        render(setting)


def test_scraping_without_a_service_is_refused(render: Render) -> None:
    with pytest.raises(Refused, match="Prometheus finds the pods through the service"):
        render("serviceMonitor.enabled=true", "serviceMonitor.tokenSecret.name=x", "service.enabled=false")


def test_every_object_of_the_schema_is_closed_or_a_map() -> None:
    open_ones = [
        place
        for place, schema in _objects(SCHEMA, "")
        if "properties" in schema and schema.get("additionalProperties") is not False
    ]

    assert open_ones == []


def test_every_value_is_documented_by_default_and_by_schema() -> None:
    assert set(SCHEMA["properties"]) - {"global"} == set(DEFAULTS)


def test_the_readme_names_every_value() -> None:
    readme = (CHART / "README.md").read_text()

    assert [path for path in _leaves(DEFAULTS) if f"`{path}`" not in readme] == []


def _objects(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema that describes values (the conditions of if and then only narrow others)."""
    if schema.get("type") == "object":
        yield place, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _objects(inner, f"{place}/{name}")
    if isinstance(schema.get("items"), dict):
        yield from _objects(schema["items"], f"{place}/items")


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and prefix + name not in {"resources"}:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name
