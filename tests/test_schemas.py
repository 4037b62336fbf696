"""Files that others read have the form that those publish, by schemas that a package carries."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def is_of(schema: str, file: Path) -> str:
    """What is wrong with a file; empty where nothing is."""
    ran = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("citation-file-format", "CITATION.cff"),
        ("compose-spec", "deploy/compose.yaml"),
        ("compose-spec", "examples/orders/compose.yaml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/bug.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/feature.yml"),
    ],
)
def test_a_file_has_the_form_of_its_kind(schema: str, file: str) -> None:
    assert is_of(schema, ROOT / file) == ""


def test_a_word_that_compose_does_not_know_is_found(tmp_path: Path) -> None:
    text = (ROOT / "deploy/compose.yaml").read_text()
    assert "stop_grace_period" in text
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(text.replace("stop_grace_period", "stop_grace"))
    assert "stop_grace" in is_of("compose-spec", wrong)


def test_who_tells_of_a_bug_is_asked_for_what_the_doctor_says() -> None:
    assert "`headrace doctor MODULE:NAME`" in (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text()
