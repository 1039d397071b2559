"""`python -m web` writes the OpenAPI document, which is committed as docs/openapi.json."""

import json
import sys

from web.app import make_routes

sys.stdout.write(json.dumps(make_routes().openapi(), indent=1, sort_keys=True) + "\n")
