"""The example node, rendered, by section."""

from dataclasses import replace

from testbed.eks.model import Profile
from testbed.eks.render import Rendered, example, render
from testbed.eks.rollout import with_settings


def rendered(profile: Profile, **env: str) -> Rendered:
    wired = example(profile)
    return render(replace(wired, cluster=with_settings(wired.cluster, None, env)))


def rules(profile: Profile, **env: str) -> list[str]:
    """As `ip rule` prints them, a blank for the tab."""
    return [rule.replace(":\t", ": ") for rule in rendered(profile, **env).rules]
