"""Numbers of the kernel's netlink interface under the kernel's own names (include/uapi/linux)."""

# netlink.h
NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_ACK_TLVS = 0x200
NLMSGERR_ATTR_MSG = 1
NLA_TYPE_MASK = 0x3FFF

# messages of rtnetlink.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTCLASS, RTM_GETTCLASS = 40, 42
RTM_NEWTFILTER, RTM_GETTFILTER = 44, 46

# attributes of shapers: rtnetlink.h, pkt_sched.h, pkt_cls.h
TCA_KIND = 1
TCA_OPTIONS = 2
TCA_HTB_PARMS = 1
TCA_HTB_INIT = 2
TCA_HTB_RATE64 = 6
TCA_HTB_CEIL64 = 7
TCA_U32_CLASSID = 1
TCA_U32_SEL = 5

# attributes and flags of routes, rtnetlink.h
RTA_DST = 1
RTA_SRC = 2
RTA_IIF = 3
RTA_OIF = 4
RTA_GATEWAY = 5
RTA_PRIORITY = 6
RTA_PREFSRC = 7
RTA_METRICS = 8
RTAX_MTU = 2
RTA_CACHEINFO = 12
RTA_TABLE = 15
RTA_MARK = 16
RTNH_F_ONLINK = 4
RTM_F_CLONED = 0x200
RTM_F_LOOKUP_TABLE = 0x1000
RTM_F_FIB_MATCH = 0x2000

# if.h, if_link.h
IFF_UP = 1
IFF_PROMISC = 0x100
RTEXT_FILTER_SKIP_STATS = 8
IF_OPER_UP = b"\x06"  # if.h: RFC 2863's operational state
IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_QDISC = 6
IFLA_MASTER = 10
IFLA_OPERSTATE = 16
IFLA_LINKINFO = 18
IFLA_AF_SPEC = 26
IFLA_NET_NS_FD = 28
IFLA_EXT_MASK = 29
IFLA_NUM_TX_QUEUES = 31
IFLA_NUM_RX_QUEUES = 32
IFLA_LINK_NETNSID = 37
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
IFLA_INFO_SLAVE_KIND = 4
IFLA_INFO_SLAVE_DATA = 5
IFLA_INET_CONF = 1
IFLA_INET6_CONF = 2
VETH_INFO_PEER = 1  # veth.h
IFLA_BRPORT_MODE = 4
IFLA_BRPORT_LEARNING = 8
IFLA_BRPORT_UNICAST_FLOOD = 9
IFLA_BRPORT_PROXYARP = 10
IFLA_BRPORT_MCAST_FLOOD = 27
IFLA_BRPORT_BCAST_FLOOD = 30

# if_addr.h
IFA_ADDRESS = 1
IFA_LOCAL = 2

# neighbour.h
NDA_DST = 1
NDA_LLADDR = 2
NDA_VLAN = 5
NTF_MASTER = 0x04
NTF_PROXY = 0x08
NUD_NOARP = 0x40
NUD_PERMANENT = 0x80
NUD_NAMES = {
    0x00: "NONE",
    0x01: "INCOMPLETE",
    0x02: "REACHABLE",
    0x04: "STALE",
    0x08: "DELAY",
    0x10: "PROBE",
    0x20: "FAILED",
    NUD_NOARP: "NOARP",
    NUD_PERMANENT: "PERMANENT",
}  # as `ip neigh` prints them

# fib_rules.h
FRA_DST = 1
FRA_SRC = 2
FRA_IIFNAME = 3
FRA_PRIORITY = 6
FRA_FWMARK = 10
FRA_SUPPRESS_PREFIXLEN = 14
FRA_TABLE = 15
FRA_FWMASK = 16
FRA_PROTOCOL = 21
FIB_RULE_INVERT = 0x2

# netfilter/nfnetlink.h, netfilter/nf_tables.h
NETLINK_NETFILTER = 12
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN = 0x10
NFNL_MSG_BATCH_END = 0x11
NFT_MSG_NEWTABLE = 0
NFT_MSG_GETTABLE = 1
NFT_MSG_NEWCHAIN = 3
NFT_MSG_GETCHAIN = 4
NFT_MSG_NEWRULE = 6
NFT_MSG_GETRULE = 7
NFTA_TABLE_NAME = 1
NFTA_CHAIN_TABLE = 1
NFTA_CHAIN_NAME = 3
NFTA_CHAIN_HOOK = 4
NFTA_CHAIN_POLICY = 5
NFTA_CHAIN_TYPE = 7
NFTA_RULE_TABLE = 1
NFTA_RULE_CHAIN = 2
NFTA_RULE_HANDLE = 3
NFTA_RULE_EXPRESSIONS = 4
NFTA_RULE_COMPAT = 5
NFTA_RULE_POSITION = 6
NFTA_RULE_USERDATA = 7
NFTA_RULE_COMPAT_PROTO = 1
NFTA_RULE_COMPAT_FLAGS = 2
NFT_RULE_COMPAT_F_INV = 2
NFTA_EXPR_NAME = 1
NFTA_EXPR_DATA = 2
NFTA_CMP_OP = 2
NFTA_CMP_DATA = 3
NFT_CMP_NEQ = 1
NFTA_DATA_VALUE = 1
NFTA_META_KEY = 2
NFT_META_L4PROTO = 16

# kinds, protocols and scopes of routes (rtnetlink.h) as `ip route` names them
ROUTE_KINDS = {
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
    "nat": 10,
}
ROUTE_PROTOCOLS = {
    "unspec": 0,
    "redirect": 1,
    "kernel": 2,
    "boot": 3,
    "static": 4,
    "ra": 9,
    "dhcp": 16,
}
ROUTE_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
RT_TABLE_UNSPEC = 0

# actions of rules and attributes of rules and routes that no fact has, as `ip` names them
RULE_ACTIONS = {
    "lookup": 1,
    "goto": 2,
    "nop": 3,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
}
OTHER_ROUTE_ATTRIBUTES = {
    9: "nexthop",
    11: "realms",
    18: "via",
    22: "encap",
    30: "nhid",
}
OTHER_RULE_ATTRIBUTES = {
    4: "goto",
    11: "realms",
    12: "tun_id",
    13: "suppress_ifgroup",
    17: "oif",
    19: "l3mdev",
    20: "uidrange",
    22: "ipproto",
    23: "sport",
    24: "dport",
}
