"""kube-proxy in iptables mode: Services, endpoints and a node become rules, in two eras.  Pure."""
