"""What commands print with `--json`, checked by the schemas that are published."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from toolkit.io import files

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def checked_json(command: str, stdout: str) -> Any:
    """Parse what a command printed. Raises an error for what its schema does not allow, and NaN."""
    content = files.parse_json(stdout)
    schema = json.loads((SCHEMAS / f"{command}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema, jsonschema.Draft202012Validator)
    return content
