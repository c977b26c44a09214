"""Whatever the schema allows to ask has an answer or a sentence: schemathesis asks it of the real server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from foveal.webapp.app import create_app

if TYPE_CHECKING:
    from tests.studio.asking import Client

ASKED = int(os.environ.get("FOVEAL_FUZZ", "8"))  # questions of each kind; `make fuzz` asks more

schema = schemathesis.openapi.from_dict(create_app(None).openapi()).exclude(path_regex="^/api/events")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def known(client: Client) -> dict[str, str]:
    """Photos and a model that there are."""
    first, second, *_ = client.answer("library")["photos"]
    return {"photo": first["hash"], "other": second["hash"], "query": first["hash"], "model": "demo"}


@schema.parametrize()
@settings(max_examples=ASKED, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_every_question_has_an_answer_or_a_sentence(
    case: schemathesis.Case, client: Client, known: dict[str, str]
) -> None:
    """Of photos and models that there are, and of others."""
    if isinstance(case.body, dict) and len(str(case.body)) % 4:
        case.body = {
            name: known.get(name, value) if isinstance(value, str) else value for name, value in case.body.items()
        }
    response = case.call(base_url=f"http://{client.server.host}:{client.server.port}", headers=client.authorization)
    if response.status_code == 202:
        client.cancel(response.json()["job"])
    case.validate_response(response, checks=[not_a_server_error, status_code_conformance, response_schema_conformance])
    if response.status_code >= 400:
        sentence = response.json()["sentence"]
        assert sentence and "fault of foveal" not in sentence, (case.body, sentence)
