"""The benchmark: the testbed beside the kernel's own floor and its peers, as ratios."""
