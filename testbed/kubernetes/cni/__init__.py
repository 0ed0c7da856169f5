"""What CNI plugins of both kinds of cluster share: links, hostPorts, how much a pod may send."""
