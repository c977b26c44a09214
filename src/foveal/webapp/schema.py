"""What crosses the wire, as OpenAPI: `python -m foveal.webapp.schema web/src/wire/openapi.json`.

`npm run types` in web/ makes the page's types of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from foveal.webapp.app import create_app

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


def schema() -> str:
    """The schema of the studio's server, as the page's types are made of it."""
    return json.dumps(create_app(cast("Studio", None)).openapi(), indent=4) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema(), encoding="utf-8")
