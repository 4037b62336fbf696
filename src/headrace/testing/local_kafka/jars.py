"""Kafka's jars for `LocalKafka`: which Java there is, and the jars that Maven copies once into the user's cache."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from headrace.base.errors import ConfigError, LogError

__all__ = ["KAFKA_VERSION", "are_fetched", "fetch_jars", "find_java", "series_of", "unavailable"]

#: The one that runs where no other is asked for.
KAFKA_VERSION = "4.4.0"
# What we tell a broker was tried from here on.
_OLDEST = (3, 9)
_VERSION = re.compile(r"(\d+)\.(\d+)\.\d+")
_JAVA_OLDEST = 17
# 45 MB; a slow line needs minutes.
_FETCH_SECONDS = 900.0

# The tools name Connect and its web server, which neither a broker nor the console tools load: 30 jars less to fetch.
# Kafka 3 brings the first Log4j, and calls it. The bridge lets the second one answer, so that all are configured alike.
_POM = """<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId>
  <artifactId>local-kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{version}</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-transforms</artifactId></exclusion>
        <exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-1.2-api</artifactId>
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


def series_of(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version. Which ones there are, Maven knows.

    Raises:
        ConfigError: it is no version of Kafka, or an older one than we know how to run.
    """
    found = _VERSION.fullmatch(version)
    series = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if series < _OLDEST:
        raise ConfigError(
            f"no local Kafka of version {version!r}: name a release from 3.9.0 on, such as {KAFKA_VERSION!r}"
        )
    return series


def unavailable(version: str = KAFKA_VERSION) -> str | None:
    """Say in one line why no Kafka can be started here; None where it can. Runs `java -version`, about 0.1 s."""
    if sys.platform not in ("linux", "darwin"):
        return f"a local Kafka runs on Linux and macOS, not on {sys.platform}"
    java = find_java()
    if java is None:
        return (
            f"a local Kafka needs Java {_JAVA_OLDEST} or newer: no `java` on PATH, and JAVA_HOME names none"
        )
    java_version = _java_version(java)
    if java_version is None or java_version < _JAVA_OLDEST:
        return (
            f"a local Kafka needs Java {_JAVA_OLDEST} or newer: {java} is {java_version or 'of an unknown version'}; "
            "install one, or point JAVA_HOME at it"
        )
    if not are_fetched(version) and shutil.which("mvn") is None:
        return (
            f"a local Kafka needs Maven to fetch Kafka {version} once: no `mvn` on PATH, "
            f"and nothing in {_folder(version)}"
        )
    return None


def are_fetched(version: str = KAFKA_VERSION) -> bool:
    """Tell whether the jars are in the cache already."""
    return _folder(version).is_dir()


def fetch_jars(version: str = KAFKA_VERSION) -> Path:
    """Return the folder of the jars of a version; Maven fills it the first time, which takes a minute or more.

    Safe in several processes at once: one of them fetches, the others wait for it.

    Raises:
        LogError: Java or Maven is missing, or Maven fails or takes longer than 15 minutes.
    """
    reason = unavailable(version)
    if reason is not None:
        raise LogError(reason)
    # Not on Windows, where there is no local Kafka, but this module is imported.
    import fcntl

    folder = _folder(version)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(version, folder)
    return folder


def _folder(version: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    root = Path(cache) if cache else Path.home() / ".cache"
    # Another list of jars gets another folder: a broker that runs on the old one opens its jars as it needs them.
    digest = hashlib.sha256(_pom(version).encode()).hexdigest()[:8]
    return root / "headrace" / f"kafka-{version}" / digest


def _pom(version: str) -> str:
    return _POM.replace("{version}", version)


def _fetch(version: str, folder: Path) -> None:
    """Copy the jars to a folder beside `folder` and rename it: a folder of that name is always complete."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as working:
        pom, jars = Path(working, "pom.xml"), Path(working, "jars")
        pom.write_text(_pom(version))
        command = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        asked = f"cannot fetch Kafka {version} with Maven"
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
