"""The committed OpenAPI document is the application's own, complete, and true of real answers."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.web.rig import Rig

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_the_applications(shared: Rig) -> None:
    committed = json.loads(DOCUMENT.read_text())

    assert committed == shared.app.openapi(), "write it anew: python -m web > docs/openapi.json"


def test_operations_have_names_scopes_and_summaries(shared: Rig) -> None:
    operations = [one for path in shared.app.openapi()["paths"].values() for one in path.values()]

    assert len({one["operationId"] for one in operations}) == len(operations)
    for one in operations:
        assert one["x-scope"] in ("open", "read", "operate", "admin")
        assert one["description"]


def test_every_reference_leads_somewhere(shared: Rig) -> None:
    document = shared.app.openapi()
    text = json.dumps(document)

    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text


ANSWERS = {
    "/healthz": "Health",
    "/api/v1/containers": "ContainerList",
    "/api/v1/containers/web": "Inspect",
    "/api/v1/containers/web/limits": "LimitFields",
    "/api/v1/containers/web/usage": "UsageAnswer",
    "/api/v1/containers/web/history": "History",
    "/api/v1/containers/web/processes": "ProcessList",
    "/api/v1/containers/ghost": "Problem",
    "/api/v1/images": "ImageList",
    "/api/v1/images/ghost": "Problem",
    "/api/v1/host": "Host",
    "/api/v1/host/history": "History",
    "/api/v1/events": "EventPage",
    "/api/v1/decisions": "DecisionPage",
    "/api/v1/policies": "PolicyList",
    "/api/v1/doctor": "Doctor",
    "/api/v1/login": "Whoami",
    "/api/v1/tokens": "TokenList",
}


@pytest.mark.parametrize(("path", "schema"), ANSWERS.items())
def test_a_real_answer_has_the_shape_that_is_promised(shared: Rig, path: str, schema: str) -> None:
    shared.events.append("note", container={"name": "web"}, actor_kind="operator", actor_name="root")
    document: dict[str, Any] = shared.app.openapi()
    wanted = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}

    jsonschema.Draft202012Validator(wanted).validate(shared.get(path).json)
