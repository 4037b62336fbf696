"""The files of deploy/: valid for what reads them, and true of headrace; their probes ask a real server."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it brings no types
import pytest
import yaml  # type: ignore[import-untyped]  # nor does this

import headrace as hr
from examples.word_count import topology
from headrace.cli.failure import MISTAKE, SHUT_DOWN
from headrace.server import Server
from headrace.streams.config import Config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEMPLATE = ROOT / "src/headrace/cli/templates/shared/Dockerfile.tmpl"
TOKEN = "wheel-and-channel"

Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    """What Kubernetes is given, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


@pytest.fixture(scope="module")
def pod(documents: dict[str, Document]) -> Document:
    found: Document = documents["StatefulSet"]["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def container(pod: Document) -> Document:
    (found,) = pod["containers"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def properties(documents: dict[str, Document], tmp_path: Path) -> Config:
    """The properties of the ConfigMap, as headrace reads them."""
    (name, text), *others = documents["ConfigMap"]["data"].items()
    assert others == []
    (tmp_path / name).write_text(text)
    return Config.load(tmp_path / name, env=None)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[hr.Streams, Server]]:
    """An application with a token that has not started, and its server, which answers."""
    streams = hr.Streams(
        topology,
        application_id="word-count",
        embedded_path=str(tmp_path / "log.db"),
        state_dir=str(tmp_path / "state"),
        properties={"server.token": TOKEN},
    )
    with Server(streams) as server:
        yield streams, server


def runs(program: str) -> bool:
    """Whether a program of a probe ends well."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


# ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_what_kubernetes_is_given_has_the_form_that_it_wants(
    documents: dict[str, Document], version: str
) -> None:
    assert list(documents) == ["ConfigMap", "Service", "PodDisruptionBudget", "StatefulSet"]
    for each in documents.values():
        kubernetes_validate.validate(each, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found(documents: dict[str, Document]) -> None:
    wrong = documents["StatefulSet"] | {"spec": documents["StatefulSet"]["spec"] | {"replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_each_instance_keeps_a_volume_and_a_name(
    documents: dict[str, Document], container: Document, properties: Config
) -> None:
    (claim,) = documents["StatefulSet"]["spec"]["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == properties["state.dir"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    named = {each["name"]: each for each in container["env"]}
    assert named["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert named["HEADRACE_GROUP_INSTANCE_ID"]["value"] == "$(POD_NAME)"


def test_instances_find_each_other_under_the_name_of_the_service(
    documents: dict[str, Document], container: Document
) -> None:
    service = documents["Service"]["metadata"]["name"]
    assert documents["StatefulSet"]["spec"]["serviceName"] == service
    assert documents["Service"]["spec"]["publishNotReadyAddresses"] is True
    named = {each["name"]: each for each in container["env"]}
    (port,) = container["ports"]
    address = named["HEADRACE_APPLICATION_SERVER"]["value"]
    assert address == f"$(POD_NAME).{service}.$(POD_NAMESPACE).svc:{port['containerPort']}"
    assert f"0.0.0.0:{port['containerPort']}" in container["args"]


def test_files_that_are_named_are_mounted(
    documents: dict[str, Document], pod: Document, container: Document, properties: Config
) -> None:
    mounts = {each["name"]: Path(each["mountPath"]) for each in container["volumeMounts"]}
    assert mounts.keys() == {each["name"] for each in pod["volumes"]} | {"state"}
    file = Path(container["args"][container["args"].index("--config") + 1])
    assert file.parent == mounts["configuration"]
    assert file.name in documents["ConfigMap"]["data"]
    assert Path(properties["server.token.file"]).parent == mounts["token"]
    # A directory cannot be made within one that is mounted for reading alone.
    places = list(mounts.values())
    assert not any(one != other and other in one.parents for one in places for other in places)


def test_probes_ask_for_what_the_server_has(served: tuple[hr.Streams, Server], container: Document) -> None:
    streams, server = served
    alive, ready = container["livenessProbe"], container["readinessProbe"]
    assert (
        alive["httpGet"] == container["startupProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
    )
    assert runs(f"import urllib.request as web; web.urlopen('{server.url}/health/live', timeout=4)")
    program = ready["exec"]["command"][2]
    for text, here in (
        ('open("/etc/headrace/secret/token").read()', repr(TOKEN)),
        ("http://127.0.0.1:8080", server.url),
    ):
        assert text in program
        program = program.replace(text, here)
    assert not runs(program)
    with streams:
        streams.wait_running("60s")
        assert runs(program)
        assert not runs(program.replace(TOKEN, "another"))


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of the last stage, as (name, arguments)."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.M).replace("\\\n", " ")
    found = [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    assert last > 0, "there is one stage alone"
    return found[last:]


@pytest.mark.parametrize("dockerfile", [DEPLOY / "Dockerfile", TEMPLATE], ids=["deploy", "template"])
def test_an_image_runs_as_nobody_and_keeps_its_state_on_a_volume(dockerfile: Path) -> None:
    found = instructions(dockerfile)
    arguments = dict(found)
    assert arguments["USER"] == "10001"
    assert [name for name, _ in found].index("USER") < [name for name, _ in found].index("ENTRYPOINT")
    volume = arguments["VOLUME"]
    state = re.search(r"HEADRACE_STATE_DIR=(\S+)", arguments["ENV"])
    assert state is not None
    assert Path(volume) in [Path(state[1]), Path(state[1]).parent]
    assert json.loads(arguments["ENTRYPOINT"])[:2] == ["headrace", "run"]


@pytest.mark.parametrize("dockerfile", [DEPLOY / "Dockerfile", TEMPLATE], ids=["deploy", "template"])
def test_the_health_check_of_an_image_asks_a_server(
    served: tuple[hr.Streams, Server], dockerfile: Path
) -> None:
    streams, server = served
    command = json.loads(dict(instructions(dockerfile))["HEALTHCHECK"].partition(" CMD ")[2])
    assert command[:2] == ["python", "-c"]
    program = command[2].replace("http://127.0.0.1:8080", server.url)
    assert runs(program)
    with streams:
        streams.wait_running("60s")
    assert not runs(program)


def test_the_image_has_the_module_that_it_runs() -> None:
    arguments = dict(instructions(DEPLOY / "Dockerfile"))
    module = json.loads(arguments["ENTRYPOINT"])[2]
    assert (ROOT / "examples" / f"{module}.py").is_file()


def test_what_compose_starts_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = found["services"]
    assert list(services) == ["kafka", "topics", "word-count"]
    for each in services.values():
        assert services.keys() >= each.get("depends_on", {}).keys()
        named = {volume.partition(":")[0] for volume in each.get("volumes", [])}
        assert found["volumes"].keys() >= named
    application = services["word-count"]
    assert application["volumes"] == ["word-count:" + dict(instructions(DEPLOY / "Dockerfile"))["VOLUME"]]
    for name, value in application["environment"].items():
        monkeypatch.setenv(name, value)
    assert Config.load().values() == {
        "application.id": "word-count",
        "bootstrap.servers": ("kafka:9092",),
        "application.server": "word-count:8080",
    }


def test_compose_takes_its_file() -> None:
    docker = shutil.which("docker")
    version = [docker or "docker", "compose", "version"]
    if docker is None or subprocess.run(version, capture_output=True, check=False).returncode != 0:
        pytest.skip("there is no docker compose here")
    ran = subprocess.run(
        [docker, "compose", "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


# ── systemd ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_systemd_takes_its_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    text = (DEPLOY / "headrace@.service").read_text()
    unit = tmp_path / "headrace@word_count.service"
    # It looks whether the program is there, which it is nowhere but where it is installed.
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.M))
    ran = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_systemd_starts_again_what_may_run_the_next_time_and_stops_it_once() -> None:
    lines = (DEPLOY / "headrace@.service").read_text().splitlines()
    assert f"RestartPreventExitStatus={MISTAKE} {SHUT_DOWN}" in lines
    assert "KillMode=mixed" in lines


def test_all_give_it_as_long_to_leave(pod: Document) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert pod["terminationGracePeriodSeconds"] == 60
    assert compose["services"]["word-count"]["stop_grace_period"] == "60s"
    assert "TimeoutStopSec=60" in (DEPLOY / "headrace@.service").read_text().splitlines()
