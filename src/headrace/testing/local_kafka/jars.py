"""Kafka's jars for `LocalKafka`: which Java there is, and the jars that Maven copies once into the user's cache."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from headrace.base.errors import LogError

__all__ = ["KAFKA_VERSION", "are_fetched", "fetch_jars", "find_java", "unavailable"]

KAFKA_VERSION = "4.3.1"
_JAVA_OLDEST = 17
# 45 MB; a slow line needs minutes.
_FETCH_SECONDS = 900.0

# The tools name Connect and its web server, which neither a broker nor the console tools load: 30 jars less to fetch.
_POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId>
  <artifactId>local-kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{KAFKA_VERSION}</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-transforms</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
"""


def find_java() -> Path | None:
    """Find the Java to run: that of JAVA_HOME, else the first on the path; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    found = shutil.which("java")
    return Path(found) if found else None


def unavailable() -> str | None:
    """Say in one line why no Kafka can be started here; None where it can. Runs `java -version`, about 0.1 s."""
    if sys.platform not in ("linux", "darwin"):
        return f"a local Kafka runs on Linux and macOS, not on {sys.platform}"
    java = find_java()
    if java is None:
        return (
            f"a local Kafka needs Java {_JAVA_OLDEST} or newer: no `java` on PATH, and JAVA_HOME names none"
        )
    version = _java_version(java)
    if version is None or version < _JAVA_OLDEST:
        return (
            f"a local Kafka needs Java {_JAVA_OLDEST} or newer: {java} is {version or 'of an unknown version'}; "
            "install one, or point JAVA_HOME at it"
        )
    if not are_fetched() and shutil.which("mvn") is None:
        return (
            f"a local Kafka needs Maven to fetch Kafka {KAFKA_VERSION} once: no `mvn` on PATH, "
            f"and nothing in {_folder()}"
        )
    return None


def are_fetched() -> bool:
    """Tell whether the jars are in the cache already."""
    return _folder().is_dir()


def fetch_jars() -> Path:
    """Return the folder of Kafka's jars; Maven fills it the first time, which takes a minute or more.

    Safe in several processes at once: one of them fetches, the others wait for it.

    Raises:
        LogError: Maven is missing or fails, or takes longer than 15 minutes.
    """
    # Not on Windows, where there is no local Kafka, but this module is imported.
    import fcntl

    folder = _folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder)
    return folder


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    root = Path(cache) if cache else Path.home() / ".cache"
    # Another list of jars gets another folder: a broker that runs on the old one opens its jars as it needs them.
    digest = hashlib.sha256(_POM.encode()).hexdigest()[:8]
    return root / "headrace" / f"kafka-{KAFKA_VERSION}" / digest


def _fetch(folder: Path) -> None:
    """Copy the jars to a folder beside `folder` and rename it: a folder of that name is always complete."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as working:
        pom, jars = Path(working, "pom.xml"), Path(working, "jars")
        pom.write_text(_POM)
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        asked = f"cannot fetch Kafka {KAFKA_VERSION} with Maven"
        try:
            ran = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_FETCH_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise LogError(f"{asked}: there is no `mvn` on PATH; install Maven") from None
        except subprocess.TimeoutExpired:
            raise LogError(
                f"{asked}: nothing after {_FETCH_SECONDS:.0f} s; is Maven Central within reach?"
            ) from None
        if ran.returncode != 0 or not any(jars.glob("kafka_2.13-*.jar")):
            lines = [line for line in (ran.stdout + ran.stderr).splitlines() if "ERROR" in line]
            raise LogError(f"{asked}: {lines[0] if lines else 'it copied no jars'}")
        jars.rename(folder)


def _java_version(java: Path) -> int | None:
    try:
        ran = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', ran.stderr)
    return int(found.group(1)) if found else None
