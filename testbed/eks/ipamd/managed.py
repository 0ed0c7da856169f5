"""Which of an instance's ENIs are ipamD's.

Source: amazon-vpc-cni-k8s v1.23.1 pkg/ipamd/ipamd.go, setUnmanagedENIs, filterUnmanagedENIs.
"""

from collections.abc import Mapping

NO_MANAGE = "node.k8s.amazonaws.com/no_manage"  # `true`: hands off; anything else: ipamD's
INSTANCE_ID = "node.k8s.amazonaws.com/instance_id"  # ipamD sets it on ENIs that it makes


def managed_by_tags(tags: Mapping[str, str], instance_id: str, *, untagged: bool) -> bool:
    """Whether an ENI's tags leave it to ipamD; nobody asks those of the primary ENI.

    untagged: ENIs that neither tag speaks of are ipamD's too (MANAGE_UNTAGGED_ENI).
    """
    if NO_MANAGE in tags:
        return tags[NO_MANAGE] != "true"
    return untagged or tags.get(INSTANCE_ID) == instance_id
