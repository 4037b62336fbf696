"""Every recorded case gives what Kafka Streams gave: outputs, stores, names, and the bytes of internal topics."""

import json
from pathlib import Path

import pytest

from headrace.base.errors import TopologyError
from tests.conformance.comparison import differences
from tests.conformance.features import MissingFeatureError
from tests.conformance.interpreter import build
from tests.conformance.replay import observe
from tests.conformance.run import case_files

_CASES = Path(__file__).parent / "cases"

#: What the library does not offer yet. An entry that no case is skipped for any more has to go.
_MISSING: frozenset[str] = frozenset()


@pytest.mark.parametrize("file", case_files([_CASES]), ids=lambda file: file.stem)
def test_case_gives_what_kafka_streams_gave(file: Path) -> None:
    case = json.loads(file.read_text())
    try:
        observed = observe(case)
    except MissingFeatureError as error:
        pytest.skip(str(error))
    assert not differences(case["expect"], observed)


def test_no_case_is_skipped_for_what_the_library_has() -> None:
    missing = set()
    for file in case_files([_CASES]):
        case = json.loads(file.read_text())
        try:
            build(case)
        except MissingFeatureError as error:
            missing.add(error.feature)
        except TopologyError:
            assert case.get("may_fail"), case["name"]
    assert missing == _MISSING
