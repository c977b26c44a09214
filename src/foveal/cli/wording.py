"""Sentences of the library, which speak Python, in the words of the command line.

A sentence names a parameter as `task='classes'`, a verb as `foveal.match`, and writes what only Python can do in a
bracket that begins with "in Python". Here these become `--task classes` and `foveal match`, and the bracket goes; so
does the place of `range=(0, 4095) in the preprocessing`, which is an option of its own here.
"""

from __future__ import annotations

import re
import shlex

# Parameters of Python's verbs, and the options that stand for them.
OPTIONS = {
    name: f"--{name}"
    for name in (
        "embedding", "labels", "layer", "lines", "method", "metric", "mode", "nodes", "parts", "port", "preprocessing",
        "references", "resolution", "rule", "show", "target", "task", "token", "weights",
    )
} | {"methods": "--method", "metrics": "--metric"}  # fmt: skip
SWITCHES = {
    "contributions=True": "--contributions",
    "pretrained=False": "--no-pretrained",
    "pretrained=True": "--pretrained",
    "baseline_maps=False": "--no-baseline-maps",
}
COMMANDS = (
    "audit", "channels", "compare", "decompose", "episode", "explain", "flow", "match", "measure", "parts", "reasons",
    "sanity", "shortcuts", "stages", "studio", "visualize",
)  # fmt: skip
# What an option takes instead of an object of Python.
STAND_INS = {"labels": "FILE", "preprocessing": "NAME|FILE", "weights": "FILE"}

_IN_PYTHON = re.compile(r" ?\(in Python\b(?:[^()]|\([^()]*\))*\)")
_LOADING = re.compile(r"(?:foveal\.)?load_model\(('[^']*'|\"[^\"]*\")(?:, )?([^()]*)\)")
_CALL = r"[A-Za-z_][\w.]*\((?:[^()]|\([^()]*\))*\)"
_VALUE = rf"""…|'[^']*'|"[^"]*"|\[[^\]]*\]|{_CALL}|[\w.]*\w"""
_KEYWORD = re.compile(rf"""(?<![\w'"/.:=,-])({"|".join(OPTIONS)})=({_VALUE})?(?![\w(]|\.\w)""")
_SETTING = re.compile(r"(range|bands|composite|frame|axis|resize)=([\w'.]+|\([^()…]*(?:…)?\)) in the preprocessing")
_LIKE = re.compile(r"(?:target=)?foveal\.Similar(?:\((?:[^()]|\([^()]*\))*\))?")
_BOX = re.compile(r"(?:target=)?foveal\.Box\((\d+)\)")
_REGION = re.compile(r"(?:target=)?foveal\.Region\(\)")
_VERB = re.compile(rf"(?<![\w'\"/`.])foveal\.({'|'.join(COMMANDS)})\b(?:\((?:[^()]|\([^()]*\))*\))?(?!\w|\.\w)")


def as_options(sentence: str) -> str:
    """The sentence with `task='classes'` as `--task classes`, and so on; names in quotes stay as they are."""
    sentence = sentence.replace("name another folder.", "choose another folder with --out.")
    sentence = sentence.replace("; the same call goes on", "; run the same command again to continue")
    sentence = _IN_PYTHON.sub("", sentence)
    sentence = _LOADING.sub(lambda call: f"--model {_plain('model', call[1])} {call[2]}".rstrip(), sentence)
    for python, switch in SWITCHES.items():
        sentence = re.sub(rf"(?<![\w'\"]){python}\b", switch, sentence)
    sentence = _REGION.sub("--target region", _BOX.sub(r"--target 'box \1'", sentence))
    sentence = _VERB.sub(r"`foveal \1`", _LIKE.sub("--like PHOTO", sentence))
    sentence = _SETTING.sub(lambda found: f"--{found[1]} {_listed(found[2])}", sentence)
    return _KEYWORD.sub(lambda found: f"{OPTIONS[found[1]]} {_plain(found[1], found[2] or '')}".rstrip(), sentence)


def _listed(value: str) -> str:
    """Numbers as an option takes them: (0, 4095) as 0,4095."""
    return re.sub(r"[()'\s]", "", value).rstrip(",")


def _plain(name: str, value: str) -> str:
    """A value of Python as a shell takes it; a list or another object is read from a file."""
    if re.fullmatch(r"(foveal\.)?Preprocessing\.named\('\w+'\)", value):
        return value.split("'")[1]
    if value[:1] in ("[", "…") or value[-1:] == ")":
        return STAND_INS.get(name, "…")
    return shlex.quote(value.strip("'\"")) if value else ""
