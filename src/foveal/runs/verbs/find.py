"""A verb by its name and options. Adding one: a file beside this, a line here, its test, its docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from foveal.errors import MethodError, UnknownMethod, shown
from foveal.runs.verbs.explain import ExplainEach
from foveal.runs.verbs.flow import FlowEach
from foveal.runs.verbs.match import MatchEach
from foveal.runs.verbs.measure import MeasureEach
from foveal.runs.verbs.parts import PartsOfEach
from foveal.runs.verbs.verb import Verb

KINDS = (ExplainEach, FlowEach, MeasureEach, MatchEach, PartsOfEach)
VERBS: Mapping[str, Any] = {kind.name: kind for kind in KINDS}


def find_verb(verb: str | Verb, options: Mapping[str, Any]) -> Verb:
    """The verb that is meant, with these options.

    Raises:
        MethodError: for a name or an option that there is not.
        FovealError: for an option that the verb cannot take.
    """
    if isinstance(verb, Verb) and not isinstance(verb, type):
        if options:
            raise MethodError(f"{', '.join(options)} are options of the verb that is given: set them there")
        return verb
    if not isinstance(verb, str) or verb not in VERBS:
        near = get_close_matches(str(verb), VERBS, 1)
        hint = f"did you mean {near[0]}?" if near else f"the verbs are {', '.join(VERBS)}"
        raise UnknownMethod(f"a run has no verb {shown(verb)}: {hint}")
    kind = VERBS[verb]
    known = [field.name for field in fields(kind) if field.init]
    if unknown := [name for name in options if name not in known]:
        raise MethodError(
            f"a run with the verb {verb} takes no {', '.join(unknown)} (in Python it takes {', '.join(known)})"
        )
    made: Verb = kind(**options)
    return made
