#!/usr/bin/env bash
# pydantic 2.14.3 makes a Decimal of a JSON number through a float: of 12345678901234567.89 the cents are gone, and of long
# fractions all but 17 digits. Its validate_python, given the Decimal that json.loads(parse_float=Decimal) makes of the same
# text, keeps all. Java writes a BigDecimal as a number, so amounts that it writes change when a model reads them.
# Guessed: a field declared as Decimal has the digits that are written.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.3
"$folder/venv/bin/python" - <<'PYTHON'
import json
from decimal import Decimal

import pydantic


class Payment(pydantic.BaseModel):
    amount: Decimal


text = '{"amount": 12345678901234567.89}'
by_json = Payment.model_validate_json(text).amount
by_python = Payment.model_validate(json.loads(text, parse_float=Decimal)).amount
print("validate_json   ", by_json)      # 12345678901234568
print("validate_python ", by_python)    # 12345678901234567.89
assert by_json == Decimal("12345678901234568")
assert by_python == Decimal("12345678901234567.89")
PYTHON
