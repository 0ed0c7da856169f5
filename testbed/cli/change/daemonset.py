"""Where aws-node is changed, in the words of kubectl."""


def without_kubectls_words(*words: str) -> tuple[str, ...]:
    """`env daemonset aws-node A=b` is `daemonset/aws-node A=b`."""
    first, *others = words[1:] if words[0] == "env" and len(words) > 1 else words
    if first in ("daemonset", "ds") and others:
        return (f"{first}/{others[0]}", *others[1:])
    return (first, *others)
