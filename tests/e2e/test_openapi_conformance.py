"""A running promscout answers as its OpenAPI document says, to the requests that schemathesis makes of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from e2e.promscout_process import Promscout, until
from peers.program import run_program

# The job that examples in the document name, and one that scrapes a target with metadata.
CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: pods
    relabel_configs: [{source_labels: [drop], regex: "yes", action: drop}]
    static_configs:
      - targets: ["127.0.0.2:1"]
      - {targets: ["127.0.0.3:1"], labels: {drop: "yes"}}
  - job_name: itself
    static_configs: [{targets: ["%s"]}]
"""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)

ARGUMENTS = (
    f"--checks={','.join(CHECKS)}",
    "--phases=examples,coverage,fuzzing",
    "--max-examples=5",
    "--seed=1",
    "--generation-database=none",
    "--exclude-path=/-/quit",  # it would end what is tested
    "--continue-on-failure",
    "--request-timeout=10",
    "--warnings=off",
    "--no-color",
)


async def test_every_endpoint_answers_as_the_document_says(tmp_path: Path) -> None:
    async with Promscout(tmp_path, CONFIG) as agent:
        agent.write_config(CONFIG % agent.url.removeprefix("http://"))
        await agent.request("POST", "/-/reload")

        async def is_scraped() -> bool:
            targets = await agent.active()
            return sorted(one["health"] for one in targets) == ["down", "up"]

        await until(is_scraped, 20, "both targets are scraped")
        document = await agent.get_json("/api/v1/openapi.json")
        # The document itself is not asked for again.
        left_out = {"/-/quit", "/api/v1/openapi.json"}
        operations = sum(len(methods) for path, methods in document["paths"].items() if path not in left_out)
        program = str(Path(sys.executable).parent / "schemathesis")
        outcome = await run_program(
            [program, "run", f"{agent.url}/api/v1/openapi.json", *ARGUMENTS], tmp_path, env={"NO_PROXY": "*"}
        )
    assert outcome.code == 0, outcome.out + outcome.err
    assert re.search(rf"Tested: {operations}\b", outcome.out), outcome.out
    generated = re.search(r"(\d+) generated", outcome.out)
    assert generated is not None
    assert int(generated[1]) > 5 * operations
