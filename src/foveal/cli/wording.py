"""Sentences of the library, which speak Python, in the words of the command line."""

from __future__ import annotations

import re
import shlex

# Keywords of Python's verbs that are options here under the same name.
OPTIONS = (
    "embedding",
    "labels",
    "layer",
    "method",
    "metric",
    "mode",
    "nodes",
    "preprocessing",
    "resolution",
    "rule",
    "target",
    "task",
    "weights",
)
SWITCHES = {
    "pretrained=False": "--no-pretrained", "pretrained=True": "--pretrained",
    "baseline_maps=False": "--no-baseline-maps",
}  # fmt: skip

_VALUE = r"""'[^']*'|"[^"]*"|\[[^\]]*\]|[\w.]+"""
_KEYWORD = re.compile(rf"""(?<![\w'"/.:=,-])({"|".join(OPTIONS)})=({_VALUE})?(?![\w(]|\.\w)""")
_LOADING = re.compile(r"load_model\(('[^']*'|\"[^\"]*\")(?:, )?([^()]*)\)")


def as_options(sentence: str) -> str:
    """The sentence with `task='classes'` as `--task classes`, and so on; names in quotes stay as they are."""
    sentence = _LOADING.sub(lambda call: f"--model {_plain(call[1])} {call[2]}".rstrip(), sentence)
    for python, switch in SWITCHES.items():
        sentence = re.sub(rf"(?<![\w'\"]){python}\b", switch, sentence)
    return _KEYWORD.sub(lambda keyword: f"--{keyword[1]} {_plain(keyword[2] or '')}".rstrip(), sentence)


def _plain(value: str) -> str:
    """A value of Python as a shell takes it."""
    if value[:1] == "[":
        return "FILE"  # a list, which an option reads from a file
    return shlex.quote(value.strip("'\"")) if value else ""
