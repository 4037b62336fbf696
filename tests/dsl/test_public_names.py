"""What `import headrace` gives, and what it leaves alone."""

import subprocess
import sys

import headrace as hr


def test_import_loads_no_engine_log_or_terminal() -> None:
    code = (
        "import sys, headrace; "
        "print(sorted({'rocksdict', 'sqlite3', 'rich', 'click', 'msgspec', 'asyncio'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"


def test_describing_a_topology_loads_no_engine_log_or_terminal() -> None:
    code = (
        "import sys, headrace as hr; b = hr.StreamsBuilder(); b.stream('a').group_by_key().count(); b.build(); "
        "print(sorted({'rocksdict', 'sqlite3', 'rich', 'click'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"


def test_an_application_without_a_registry_loads_no_client_of_it() -> None:
    code = (
        "import sys, headrace as hr; hr.Streams; "
        "print(sorted({'fastavro', 'google.protobuf', 'http.client', 'sqlalchemy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"


def test_every_public_name_is_there() -> None:
    assert [name for name in hr.__all__ if not hasattr(hr, name)] == []


def test_all_names_at_once_need_no_extra() -> None:
    extras = ("starlette", "uvicorn", "sqlalchemy", "fastavro", "jsonschema_rs", "google")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras!r}));"
        "from headrace import *; print(StreamsBuilder.__name__, stores.__name__, 'registry' in dir())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("StreamsBuilder headrace.stores False\n", "")


def test_modules_of_extras_are_public_too() -> None:
    assert {"registry", "server", "sql"} <= set(dir(hr))
    assert hr.server.Server.__name__ == "Server"


def test_decorator_is_not_hidden_by_the_room_of_its_name() -> None:
    code = "import headrace as hr, headrace.processor.handlers; print(hr.processor.__module__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "headrace.processor.api\n"
