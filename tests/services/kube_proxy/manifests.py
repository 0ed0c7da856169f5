"""One Service in many kinds, as manifests.  Node `me` has the second of its endpoints."""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 172.20.0.7
  ports: [{name: http, port: 80}]
"""
NODE_PORT = SERVICE.replace("spec:", "spec:\n  type: NodePort").replace(
    "80}", "80, nodePort: 31787}"
)
LOCAL = NODE_PORT.replace("spec:", "spec:\n  externalTrafficPolicy: Local")
EXTERNAL = SERVICE + "  externalIPs: [203.0.113.7]\n"
BALANCED = (
    NODE_PORT.replace("NodePort", "LoadBalancer")
    + "  loadBalancerSourceRanges: [198.51.100.0/24, 10.1.0.0/16]\n"
    + "status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}\n"
)
AFFINE = SERVICE + "  sessionAffinity: ClientIP\n"

ENDPOINTS = """
---
apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets:
- addresses: [{ip: 10.2.0.22, nodeName: other}, {ip: 10.2.0.2, nodeName: me}]
  ports: [{name: http, port: 8080}]
"""
ELSEWHERE = ENDPOINTS.replace("nodeName: me", "nodeName: other")

HASH = "CDGGSHYLG3RE2FKL"  # of default/web:http and tcp
SVC, SVL, EXT = f"KUBE-SVC-{HASH}", f"KUBE-SVL-{HASH}", f"KUBE-EXT-{HASH}"
FW, XLB = f"KUBE-FW-{HASH}", f"KUBE-XLB-{HASH}"
OWN, OTHER = "KUBE-SEP-ZBUBFM5KEIOCXEAC", "KUBE-SEP-PKRQLVMWHHHYEW6O"  # the endpoints' chains
