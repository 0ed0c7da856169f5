/* What the kernel itself charges for pods: no library, nothing encoded twice.
 *
 *   pods N [PODS_ON_A_NODE]
 *
 * A pod: its namespace, lo up, a veth pair to its node's namespace (names, MACs, MTU 9001, one
 * queue), a /32, two routes, a permanent neighbour; on the node the veth up, a host route and two
 * rules.  One send() a namespace.  Prints one line of JSON.
 */
#define _GNU_SOURCE
#include "spaces.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/resource.h>

enum { POD_SIDE = 1, NODE_SIDE, LOOPBACK = 1, ETH0, FIRST_VETH = 10, MTU = 9001 };
enum { TO_POD = 512, FROM_POD = 1536, ENI_TABLE = 2 };
#define GATEWAY htonl(0xa9fe0101) /* 169.254.1.1 */
#define NEW (NLM_F_CREATE | NLM_F_EXCL)

struct mac { unsigned char bytes[6]; };

static struct mac mac(int side, int pod) {
    return (struct mac){{2, side, pod >> 24, pod >> 16, pod >> 8, pod}};
}

static uint32_t address(int pod) { return htonl(0x0a000100u + pod); }

static void link_up(struct batch *batch, int index) {
    struct ifinfomsg *link = begin(batch, RTM_NEWLINK, 0, sizeof *link);
    link->ifi_index = index;
    link->ifi_flags = link->ifi_change = IFF_UP;
    finish(batch);
}

static void veth_end(struct batch *batch, const char *name, int side, int pod) {
    struct mac own = mac(side, pod);
    text(batch, IFLA_IFNAME, name);
    attribute(batch, IFLA_ADDRESS, &own, sizeof own);
    number(batch, IFLA_MTU, MTU);
    number(batch, IFLA_NUM_TX_QUEUES, 1);
    number(batch, IFLA_NUM_RX_QUEUES, 1);
}

static void veth_pair(struct batch *batch, int pod, int node_space, int node_index) {
    char name[IFNAMSIZ];
    struct ifinfomsg *near = begin(batch, RTM_NEWLINK, NEW, sizeof *near);
    near->ifi_index = ETH0;
    near->ifi_flags = near->ifi_change = IFF_UP;
    veth_end(batch, "eth0", POD_SIDE, pod);
    struct rtattr *info = nest(batch, IFLA_LINKINFO);
    text(batch, IFLA_INFO_KIND, "veth");
    struct rtattr *data = nest(batch, IFLA_INFO_DATA), *peer = nest(batch, VETH_INFO_PEER);
    struct ifinfomsg *far = reserve(batch, sizeof *far);
    far->ifi_index = node_index;
    snprintf(name, sizeof name, "eni%08x", pod);
    veth_end(batch, name, NODE_SIDE, pod);
    number(batch, IFLA_NET_NS_FD, node_space);
    close_nest(batch, peer);
    close_nest(batch, data);
    close_nest(batch, info);
    finish(batch);
}

static void pod_address(struct batch *batch, int pod) {
    uint32_t own = address(pod);
    struct ifaddrmsg *body = begin(batch, RTM_NEWADDR, NEW, sizeof *body);
    body->ifa_family = AF_INET;
    body->ifa_prefixlen = 32;
    body->ifa_index = ETH0;
    attribute(batch, IFA_LOCAL, &own, sizeof own);
    attribute(batch, IFA_ADDRESS, &own, sizeof own);
    finish(batch);
}

/* destination 0: the default route, through the gateway; else a host on the link. */
static void route(struct batch *batch, int index, uint32_t destination) {
    uint32_t gateway = GATEWAY;
    struct rtmsg *body = begin(batch, RTM_NEWROUTE, NEW, sizeof *body);
    body->rtm_family = AF_INET;
    body->rtm_table = RT_TABLE_MAIN;
    body->rtm_protocol = RTPROT_BOOT;
    body->rtm_type = RTN_UNICAST;
    if (destination) {
        body->rtm_dst_len = 32;
        body->rtm_scope = RT_SCOPE_LINK;
        attribute(batch, RTA_DST, &destination, sizeof destination);
    } else {
        attribute(batch, RTA_GATEWAY, &gateway, sizeof gateway);
    }
    number(batch, RTA_OIF, index);
    finish(batch);
}

static void gateway_neighbour(struct batch *batch, int pod) {
    uint32_t gateway = GATEWAY;
    struct mac far = mac(NODE_SIDE, pod);
    struct ndmsg *body = begin(batch, RTM_NEWNEIGH, NEW, sizeof *body);
    body->ndm_family = AF_INET;
    body->ndm_ifindex = ETH0;
    body->ndm_state = NUD_PERMANENT;
    attribute(batch, NDA_DST, &gateway, sizeof gateway);
    attribute(batch, NDA_LLADDR, &far, sizeof far);
    finish(batch);
}

static void rule(struct batch *batch, int priority, int selector, int pod, int table) {
    uint32_t own = address(pod);
    struct fib_rule_hdr *body = begin(batch, RTM_NEWRULE, NLM_F_CREATE, sizeof *body);
    body->family = AF_INET;
    body->table = table;
    body->action = FR_ACT_TO_TBL;
    *(selector == FRA_SRC ? &body->src_len : &body->dst_len) = 32;
    attribute(batch, selector, &own, sizeof own);
    number(batch, FRA_PRIORITY, priority);
    finish(batch);
}

static int wire_pod(int pod, int node_space, int node_index) {
    static struct batch batch;
    int space = new_space(), netlink = netlink_socket();
    link_up(&batch, LOOPBACK);
    veth_pair(&batch, pod, node_space, node_index);
    pod_address(&batch, pod);
    route(&batch, ETH0, GATEWAY);
    route(&batch, ETH0, 0);
    gateway_neighbour(&batch, pod);
    send_batch(netlink, &batch);
    close(netlink);
    return space;
}

static void wire_node(int space, int first, int end) {
    static struct batch batch;
    enter(space);
    int netlink = netlink_socket();
    link_up(&batch, LOOPBACK);
    for (int pod = first; pod < end; pod++) {
        int index = FIRST_VETH + pod - first;
        link_up(&batch, index);
        route(&batch, index, address(pod));
        rule(&batch, TO_POD, FRA_DST, pod, RT_TABLE_MAIN);
        rule(&batch, FROM_POD, FRA_SRC, pod, ENI_TABLE);
    }
    send_batch(netlink, &batch);
    close(netlink);
}

/* Kernel memory of all the machine, in KiB. */
static long kernel_kib(void) {
    char line[256];
    long total = 0, kib;
    FILE *file = fopen("/proc/meminfo", "r");
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Slab: %ld", &kib) == 1 || sscanf(line, "Percpu: %ld", &kib) == 1)
            total += kib;
    fclose(file);
    return total;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **words) {
    if (count < 2 || atoi(words[1]) < 1)
        return fprintf(stderr, "usage: pods N [PODS_ON_A_NODE]\n"), 2;
    int pods = atoi(words[1]), on_a_node = count > 2 ? atoi(words[2]) : 30, held = 0;
    int *spaces = calloc(2 * pods, sizeof *spaces);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    own_user_namespace();

    long memory = kernel_kib();
    double began = now_s(), cpu = cpu_s();
    for (int first = 0; first < pods; first += on_a_node) {
        int end = first + on_a_node < pods ? first + on_a_node : pods;
        int node = spaces[held++] = new_space();
        for (int pod = first; pod < end; pod++)
            spaces[held++] = wire_pod(pod, node, FIRST_VETH + pod - first);
        wire_node(node, first, end);
    }
    double built = now_s();
    cpu = cpu_s() - cpu;
    memory = kernel_kib() - memory;

    check(unshare(CLONE_NEWNET), "unshare");
    wait_for_at_most(held + 1);
    double closing = now_s();
    while (held)
        close(spaces[--held]);
    wait_for_at_most(1);
    printf("{\"build_s\": %.6f, \"cpu_s\": %.6f, \"gone_s\": %.6f, \"kernel_kib\": %ld}\n", built - began, cpu,
           now_s() - closing, memory);
    return 0;
}
