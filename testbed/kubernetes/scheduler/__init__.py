"""kube-scheduler, as far as it decides which node a pod runs on: room, ports, labels, taints."""
