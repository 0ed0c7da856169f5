"""Manifests that the tests read, and what is made of a text."""

import pytest

from testbed.errors import DescriptionError
from testbed.kubernetes.manifests import Objects, parse

APP = """\
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  selector:
    app: shop
  type: NodePort
  ports:
  - name: http
    port: 80
    targetPort: web
    nodePort: 30080
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app: shop
  template:
    metadata:
      labels:
        app: shop
    spec:
      containers:
      - name: shop
        image: nginx:1.17
        ports:
        - name: web
          containerPort: 8080
        - containerPort: 53
          protocol: UDP
        readinessProbe:
          httpGet: {path: /, port: web}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: client
  namespace: tools
spec:
  containers:
  - name: shell
    image: busybox
"""


def objects(text: str) -> Objects:
    return parse({"app.yaml": text})


def error_of(text: str) -> str:
    with pytest.raises(DescriptionError) as caught:
        objects(text)
    return str(caught.value)


SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-x7k2p, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.0.9.1], nodeName: n1, zone: us-west-2a, conditions: {ready: true}}
- addresses: [10.0.9.2]
  conditions: {ready: false, serving: true, terminating: true}
- addresses: [10.0.9.3]
  conditions: {ready: false}
- addresses: [10.0.9.4]
ports: [{name: pg, port: 5432, protocol: TCP}]
"""
