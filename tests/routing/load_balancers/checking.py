"""How the load balancers of these tests check their targets."""

from testbed.kubernetes.model import HealthCheck

# Two failures, so that one answer of a loaded machine that comes too late is none.
QUICK = HealthCheck(interval_s=0.5, timeout_s=0.4, healthy_threshold=1, unhealthy_threshold=2)
SLOW = HealthCheck(interval_s=60, timeout_s=50, healthy_threshold=1, unhealthy_threshold=2)
