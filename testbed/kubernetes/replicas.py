"""How the pods of a Deployment are named: `web-5d8f7c9b6d-x2x4q`."""

import json
from collections.abc import Mapping
from typing import Any

from testbed.net.names import digest

# k8s.io/apimachinery, pkg/util/rand: no vowels, so that no words come out, nor 0, 1 and 3
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX = 5  # k8s.io/apiserver, pkg/storage/names: random letters behind a generated name
LONGEST = 63 - SUFFIX  # what is left of a longer name before they are added


def template_hash(template: Mapping[str, Any]) -> str:
    """The label `pod-template-hash`: another template, an image say, gives another one.

    As in Kubernetes the letters stand for the digits of a 32-bit number (rand.SafeEncodeString);
    the number itself is our own.
    """
    number = int(digest(json.dumps(template, sort_keys=True), length=8), 16)
    return "".join(LETTERS[ord(figure) % len(LETTERS)] for figure in str(number))


def pod_name(replica_set: str, namespace: str, ordinal: int) -> str:
    """The name of a pod; Kubernetes draws the letters at random, here they are always the same."""
    number = int(digest(namespace, replica_set, str(ordinal), length=10), 16)
    letters = ""
    for _ in range(SUFFIX):
        number, place = divmod(number, len(LETTERS))
        letters += LETTERS[place]
    return f"{replica_set}-"[:LONGEST] + letters
