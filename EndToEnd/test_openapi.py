# SPDX-License-Identifier: Apache-2.0
"""The served description of the REST methods against what the server does."""
import json

import pytest

from harness.paths import REPOSITORY


@pytest.fixture(scope="module")
def document(a):
    return a.rest("openapi.json").body


@pytest.fixture(scope="module")
def paths(document):
    """Those under /rest-api; WHIP and WHEP have a server of their own and tests of their own."""
    return {path: item for path, item in document["paths"].items() if "servers" not in item}


def test_the_committed_document_is_what_is_served(document):
    assert json.loads((REPOSITORY / "docs" / "openapi.json").read_text()) == document


def test_every_described_method_exists_and_answers_as_described(a, paths):
    for path, operations in paths.items():
        for verb, operation in operations.items():
            reply = a.rest(path, method=verb.upper(), data=None if verb == "get" else "{}", headers={"Content-Type": "application/json"})
            assert str(reply.status) in operation["responses"], (path, verb, reply)
            assert reply.status != 405


def test_verbs_that_are_not_described_are_refused(a, paths):
    for path, operations in paths.items():
        for verb in ("get", "put", "delete", "patch"):
            if verb not in operations:
                assert a.rest(path, method=verb.upper()).status == 405, (path, verb)


def test_a_body_that_is_not_json_is_400_wherever_a_body_is_taken(a, paths):
    for path, operations in paths.items():
        if "requestBody" in operations.get("post", {}):
            assert a.rest(path, data="{not json", method="POST").status == 400, path
