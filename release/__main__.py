"""`make release`: builds the packages in `dist/VERSION`, and fails where one of them is not as it is promised.

Uploads nothing. `--tag v1.2.3` is for the release itself; without it the packages are those of a trial.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from release.installed import try_out
from release.versions import disagreements, version_of
from release.wheels import TWINE, audit, contents, described

ROOT = Path(__file__).parents[1]
_UV, _UVX = str(ROOT / ".tools/bin/uv"), (str(ROOT / ".tools/bin/uv"), "tool", "run", "--quiet")
_MATURIN = "maturin@1.16.0"
#: The C compiler and linker for all of them: it knows the symbols of old glibcs, and of musl.
_ZIG = "ziglang==0.17.1"

#: What is built where the machine is one with Linux, by target of Rust and platform of the wheel.
_LINUX = {
    "x86_64-unknown-linux-gnu": "manylinux2014",
    "aarch64-unknown-linux-gnu": "manylinux2014",
    "x86_64-unknown-linux-musl": "musllinux_1_2",
    "aarch64-unknown-linux-musl": "musllinux_1_2",
}
_PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")


def main() -> None:
    """Build, check, install."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--tag", help="the tag of the release, which has to be checked out, clean")
    parser.add_argument(
        "--native-only", action="store_true", help="this platform's wheel of headrace-native, alone"
    )
    parser.add_argument(
        "--here-only", action="store_true", help="no wheels for other platforms than this one"
    )
    given = parser.parse_args()
    version = version_of(ROOT)
    wrong = [*disagreements(ROOT, given.tag), *(_off_tag(given.tag) if given.tag else ())]
    if wrong:
        raise SystemExit("\n".join(f"*** {each}" for each in wrong))
    packages = ROOT / "dist" / version
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    if not given.native_only:
        _say("building headrace: wheel and sdist")
        _run([_UV, "build", "--quiet", "--out-dir", str(packages)])
        (packages / ".gitignore").unlink(missing_ok=True)
    _build_native(packages, is_only_here=given.here_only or given.native_only)
    files = sorted(packages.iterdir())
    _run_tool(["twine", TWINE, "check", "--strict", *map(str, files)])
    for wheel in packages.glob("headrace_native-*.whl"):
        audit(wheel, _run_tool, _say)
    if not given.native_only:
        wrong = contents(packages / f"headrace-{version}-py3-none-any.whl")
        if wrong:
            raise SystemExit("\n".join(wrong))
        _install(packages, version)
    sums = "".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files)
    (packages / "SHA256SUMS").write_text(sums)
    _say(f"in {packages.relative_to(ROOT)}:")
    for line in described(files):
        _say(f"  {line}")


def _build_native(packages: Path, *, is_only_here: bool) -> None:
    """Build the sdist of headrace-native, and its wheels."""
    manifest = ["--manifest-path", str(ROOT / "native/Cargo.toml"), "--out", str(packages)]
    build = [
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--interpreter",
        str(ROOT / ".tools/bin/python"),
        *manifest,
    ]
    if platform.system() != "Linux":
        _say("building headrace-native: this platform's wheel")
        _run([*_UVX, _MATURIN, *build])
        return
    _say("building headrace-native: sdist")
    _run([*_UVX, _MATURIN, "sdist", *manifest], is_quiet=True)
    for target, place in _LINUX.items():
        if is_only_here and target != f"{platform.machine()}-unknown-linux-gnu":
            continue
        _say(f"building headrace-native: {place} for {target} (minutes the first time)")
        _run(["rustup", "target", "add", target], is_quiet=True)
        _run(
            [*_UVX, "--with", _ZIG, _MATURIN, *build, "--zig", "--target", target, "--compatibility", place],
            is_quiet=True,
        )


def _install(packages: Path, version: str) -> None:
    """Try the packages out on each Python that is here."""
    readme = (ROOT / "README.md").read_text()
    for each in _PYTHONS:
        python = _python(each)
        if python is None:
            _say(f"Python {each}: not here")
            continue
        _say(f"Python {each}:")
        try_out(python, packages, version, readme, lambda line: _say(f"  {line}"))


def _python(version: str) -> str | None:
    """Return the interpreter of a version, of those that uv finds or pyenv has; none is downloaded."""
    find = [_UV, "python", "find", "--system", "--no-python-downloads", "--no-project", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return found.stdout.strip()
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return next((str(each) for each in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))), None)


def _off_tag(tag: str) -> list[str]:
    """Return what keeps the checkout from being the tag."""
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "status", "--porcelain"], capture_output=True, check=True).stdout:
        return ["the checkout has changes that are not committed"]
    here = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True).stdout
    tagged = subprocess.run([*git, "rev-parse", f"{tag}^{{commit}}"], capture_output=True, check=False)
    return [] if tagged.stdout == here and not tagged.returncode else [f"{tag} is not what is checked out"]


def _run_tool(command: Sequence[str]) -> None:
    """Run a tool of an index, given as name, name@version, and arguments."""
    _, versioned, *arguments = command
    _run([*_UVX, versioned, *arguments])


def _run(command: Sequence[str], *, is_quiet: bool = False) -> None:
    environment = os.environ | {"NO_COLOR": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=is_quiet, text=True, check=False)
    if ran.returncode != 0:
        said = f"\n{ran.stdout}{ran.stderr}" if is_quiet else ""
        raise SystemExit(f"*** {' '.join(command)} ended with {ran.returncode}{said}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
