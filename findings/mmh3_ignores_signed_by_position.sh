#!/usr/bin/env bash
# mmh3 5.3.1: hash64 and hash128 (key, seed, x64arch, signed) give signed numbers whatever their fourth argument is, unless
# it is named: signed=False. No error tells that it was not heard, and hash(key, seed, signed) hears it. Half of all hashes
# are below 0 then, and what goes by the number, such as a partition, differs from that of whoever wrote the name.
# Guessed: an argument means the same by its place in the documented signature as by its name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mmh3==5.3.1
"$folder/venv/bin/python" - <<'PYTHON'
import mmh3

by_place, by_name = mmh3.hash64(b"a", 0, True, False), mmh3.hash64(b"a", 0, True, signed=False)
print("hash64 by place:", by_place, "by name:", by_name)
assert by_place == mmh3.hash64(b"a", 0, True, True)
assert by_name == tuple(each % 2**64 for each in by_place) != by_place
wide = {signed: mmh3.hash128(b"a", 0, True, signed) for signed in (True, False)}
print("hash128 by place:", wide[False], "by name:", mmh3.hash128(b"a", 0, True, signed=False))
assert wide[True] == wide[False] != mmh3.hash128(b"a", 0, True, signed=False)
assert mmh3.hash(b"abc", 0, False) == mmh3.hash(b"abc", 0, signed=False) >= 0 > mmh3.hash(b"abc", 0, True)
PYTHON
