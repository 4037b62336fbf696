#!/usr/bin/env bash
# auditwheel 6.8.2: `show` ends with an ELFError, "Magic number does not match", for a wheel for musl that zig 0.17.1 has linked
# (also by `maturin build --zig`). Such a wheel asks for `libc.so`, as musl's loader calls itself, and auditwheel looks that
# name up on the machine where it runs: with the headers of glibc (libc6-dev) it is a text for the linker. The wheel is
# sound. Whoever checks wheels of all platforms in one place has a traceback for these, and no word of which file was read.
# Guessed: a wheel whose name says musllinux is looked into by its own libc, or told as not to be looked into here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check auditwheel==6.8.2 ziglang==0.17.1
cd "$folder"
mkdir -p wheel/there-1.0.dist-info
echo '#include <string.h>
size_t there(const char *text) { return strlen(text) + (memchr(text, 0, 9) != 0); }' >there.c
"$folder/venv/bin/python" -m ziglang cc -target x86_64-linux-musl -shared -fPIC -o wheel/there.so there.c
printf 'Metadata-Version: 2.1\nName: there\nVersion: 1.0\n' >wheel/there-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: false\nTag: py3-none-musllinux_1_2_x86_64\n' \
    >wheel/there-1.0.dist-info/WHEEL
printf 'there.so,,\nthere-1.0.dist-info/METADATA,,\nthere-1.0.dist-info/WHEEL,,\nthere-1.0.dist-info/RECORD,,\n' \
    >wheel/there-1.0.dist-info/RECORD
name=there-1.0-py3-none-musllinux_1_2_x86_64.whl
(cd wheel && python3 -m zipfile -c "../$name" there.so there-1.0.dist-info)
"$folder/venv/bin/python" - <<'PYTHON'
from elftools.elf.elffile import ELFFile

with open("wheel/there.so", "rb") as file:
    needed = [tag.needed for tag in ELFFile(file).get_section_by_name(".dynamic").iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
print("the library asks for", needed)
assert needed == ["libc.so"]
PYTHON
if ! find /usr/lib /lib -name libc.so -exec grep -qI 'GNU ld script' {} \; -print 2>/dev/null | grep -q .; then
    echo "this machine has no headers of glibc: nothing to be found here"
    exit 1
fi
if "$folder/venv/bin/auditwheel" show "$name" >out 2>&1; then
    cat out
    echo "not as found: auditwheel has looked into it"
    exit 1
fi
tail -1 out
grep -q "ELFError: Magic number does not match" out
