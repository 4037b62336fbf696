"""What packages promise: one version everywhere, extras that leave nothing out, Python alone in the one wheel."""

import re
import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from release.versions import disagreements, version_of
from release.wheels import contents

ROOT = Path(__file__).parents[1]
VERSION = version_of(ROOT)
NAMES_A_VERSION = (
    "pyproject.toml",
    "CHANGELOG.md",
    "CITATION.cff",
    "native/pyproject.toml",
    "native/Cargo.toml",
    "native/Cargo.lock",
    "native/src/lib.rs",
    "src/headrace/base/compiled.py",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Those files of the project that name a version, in a directory of their own."""
    for name in NAMES_A_VERSION:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(file: Path, text: str, to: str) -> None:
    before = file.read_text()
    assert text in before
    file.write_text(before.replace(text, to, 1))


def test_all_that_names_a_version_names_the_same() -> None:
    assert disagreements(ROOT) == []


@pytest.mark.parametrize(
    ("file", "text", "to", "said"),
    [
        ("CHANGELOG.md", f"## {VERSION}", "## 9.9.9", "CHANGELOG.md has 9.9.9"),
        ("CITATION.cff", f"version: {VERSION}", "version: 9.9.9", "CITATION.cff has 9.9.9"),
        ("native/pyproject.toml", f'version = "{VERSION}"', 'version = "9.9.9"', "native/pyproject.toml has 9.9.9"),
        ("native/Cargo.toml", f'version = "{VERSION}"', 'version = "9.9.9"', "native/Cargo.toml has 9.9.9"),
        ("pyproject.toml", f'native = ["headrace-native=={VERSION}"]', 'native = ["headrace-native"]', "'native'"),
        ("pyproject.toml", f'"headrace-native=={VERSION};', '"headrace-native==9.9.9;', "'all' of pyproject.toml"),
        ("native/src/lib.rs", '"INTERFACE", ', '"INTERFACE", 9', "of headrace-native, which has 9"),
    ],
)  # fmt: skip
def test_what_names_another_version_is_told(checkout: Path, file: str, text: str, to: str, said: str) -> None:
    assert disagreements(checkout) == []
    change(checkout / file, text, to)
    (found,) = disagreements(checkout)
    assert said in found


def test_a_release_has_its_tag_and_its_day(checkout: Path) -> None:
    heading = re.search(rf"^## {re.escape(VERSION)}.*$", (checkout / "CHANGELOG.md").read_text(), re.M)
    assert heading is not None
    change(checkout / "CHANGELOG.md", heading[0], f"## {VERSION} (2030-01-31)")
    assert disagreements(checkout, f"v{VERSION}") == []
    assert "it has to be 'v" in disagreements(checkout, "v9.9.9")[0]
    change(checkout / "CHANGELOG.md", "(2030-01-31)", "(not released)")
    assert "a release has its day" in disagreements(checkout, f"v{VERSION}")[0]


def _extras() -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return found


def test_the_extra_all_leaves_none_out() -> None:
    extras = _extras()
    of_headrace, of_native = map(Requirement, extras["all"])
    assert of_headrace.extras == extras.keys() - {"all", "native"}
    assert of_native.name == "headrace-native"


@pytest.mark.parametrize(
    ("system", "machine", "python", "is_there"),
    [
        ("linux", "x86_64", "CPython", True),
        ("linux", "aarch64", "CPython", True),
        ("linux", "ppc64le", "CPython", False),
        ("linux", "x86_64", "PyPy", False),
        ("darwin", "arm64", "CPython", False),
        ("win32", "AMD64", "CPython", False),
    ],
)
def test_the_extra_all_has_the_codec_where_a_wheel_is_released(
    system: str, machine: str, python: str, is_there: bool
) -> None:
    marker = Requirement(_extras()["all"][1]).marker
    assert marker is not None
    platform = {"sys_platform": system, "platform_machine": machine, "platform_python_implementation": python}
    assert marker.evaluate(platform) is is_there


def test_compiled_code_in_the_wheel_of_headrace_is_told(tmp_path: Path) -> None:
    wheel = tmp_path / "headrace-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("headrace/__init__.py", "")
    assert contents(wheel) == []
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("headrace/fast.cpython-311-x86_64-linux-gnu.so", "")
    (found,) = contents(wheel)
    assert "compiled code is headrace-native's" in found


def test_file_of_a_kind_that_does_not_belong_into_the_wheel_is_told(tmp_path: Path) -> None:
    wheel = tmp_path / "headrace-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("headrace/server/page/index.html", "")
        archive.writestr("headrace-1.0.dist-info/METADATA", "")
        archive.writestr("headrace/cdc/recorded.jsonl", "")
    assert contents(wheel) == [
        f"{wheel.name} has headrace/cdc/recorded.jsonl, which is of no kind that belongs there"
    ]
