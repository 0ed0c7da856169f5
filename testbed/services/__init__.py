"""Services, the same in both kinds of cluster: kube-proxy's chains, load balancers, DNS names."""
