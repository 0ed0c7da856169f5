"""kube-proxy in nftables mode: one table of its own, with maps from addresses and ports to chains.

    chain services     ip daddr . meta l4proto . th dport vmap @service-ips
    map service-ips    172.20.0.10 . tcp . 80 : goto service-ULMVA6XW-ns1/svc1/tcp/p80

Source: kubernetes v1.30, pkg/proxy/nftables/proxier.go.  Texts are as `nft list` prints them.
"""
