/* What the kernel itself charges for probing all pairs of pods, from one process.
 *
 *   probes icmp|tcp < LINES      a line: DESCRIPTOR ADDRESS, of an inherited network namespace
 *
 * icmp: one raw socket a namespace, a row of requests by sendmmsg, the answers by recvmmsg.  Each
 * run has other identifiers, so that no kernel on the way knows its flows from the one before.
 * tcp: connect to a listener of our own, connect again for the outcome, close with a reset.
 * Prints one line of JSON.
 */
#define _GNU_SOURCE
#include "spaces.h"

#include <arpa/inet.h>
#include <netinet/ip_icmp.h>

enum { MOST = 4096, PORT = 8081, ROW = 256, ICMP_FILTER_OPTION = 1 };

static int pods, spaces[MOST], sockets[MOST];
static struct sockaddr_in addresses[MOST];
static long sent, answered;
static uint16_t first_identifier;

static uint16_t identifier(int pod) { return first_identifier + pod; }

static uint16_t checksum(const void *data, int bytes) {
    const uint16_t *words = data;
    uint32_t sum = 0;
    for (; bytes > 1; bytes -= 2)
        sum += *words++;
    sum = (sum >> 16) + (sum & 0xffff);
    return ~(sum + (sum >> 16));
}

static void open_raw(int pod) {
    unsigned filter = ~(1u << ICMP_ECHOREPLY);
    enter(spaces[pod]);
    sockets[pod] = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    check(sockets[pod] < 0, "socket");
    setsockopt(sockets[pod], SOL_RAW, ICMP_FILTER_OPTION, &filter, sizeof filter);
}

static void take_replies(int pod) {
    static char replies[ROW][64];
    static struct iovec places[ROW];
    static struct mmsghdr received[ROW];
    for (int i = 0; i < ROW; i++) {
        places[i] = (struct iovec){replies[i], sizeof replies[i]};
        received[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
    }
    for (int count; (count = recvmmsg(sockets[pod], received, ROW, MSG_DONTWAIT, NULL)) > 0;)
        for (int i = 0; i < count; i++) {
            struct icmphdr *reply = (void *)(replies[i] + 20);
            answered += reply->type == ICMP_ECHOREPLY && ntohs(reply->un.echo.id) == identifier(pod);
        }
}

static void ping_row(int pod, int first, int end) {
    static struct icmphdr requests[ROW];
    static struct iovec places[ROW];
    static struct mmsghdr row[ROW];
    int length = 0;
    for (int to = first; to < end; to++) {
        if (to == pod)
            continue;
        struct icmphdr *header = &requests[length];
        *header = (struct icmphdr){.type = ICMP_ECHO, .un.echo = {htons(identifier(pod)), htons(to)}};
        header->checksum = checksum(header, sizeof *header);
        places[length] = (struct iovec){header, sizeof *header};
        row[length].msg_hdr = (struct msghdr){.msg_name = &addresses[to],
                                              .msg_namelen = sizeof addresses[to],
                                              .msg_iov = &places[length],
                                              .msg_iovlen = 1};
        length++;
    }
    for (int done = 0; done < length;) {
        int count = sendmmsg(sockets[pod], row + done, length - done, 0);
        check(count < 0, "sendmmsg");
        done += count;
    }
    sent += length;
    take_replies(pod);
}

static void icmp(void) {
    for (int pod = 0; pod < pods; pod++)
        open_raw(pod);
    for (int pod = 0; pod < pods; pod++)
        for (int first = 0; first < pods; first += ROW)
            ping_row(pod, first, first + ROW < pods ? first + ROW : pods);
    for (int wait = 0; wait < 100 && answered < sent; wait++) {
        usleep(1000);
        for (int pod = 0; pod < pods; pod++)
            take_replies(pod);
    }
}

static void listen_in(int pod) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    enter(spaces[pod]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(listener, (void *)&any, sizeof any) || listen(listener, MOST), "listen");
}

static void tcp(void) {
    struct linger reset = {1, 0};
    for (int pod = 0; pod < pods; pod++) {
        enter(spaces[pod]);
        for (int to = 0; to < pods; to++) {
            if (to == pod)
                continue;
            struct sockaddr *address = (void *)&addresses[to];
            int own = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            setsockopt(own, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            int refused = connect(own, address, sizeof addresses[to]);
            if (refused && errno == EINPROGRESS)
                refused = connect(own, address, sizeof addresses[to]) && errno != EISCONN;
            sent++;
            answered += !refused;
            close(own);
        }
    }
}

int main(int count, char **words) {
    char text[INET_ADDRSTRLEN + 1];
    int is_tcp = count > 1 && !strcmp(words[1], "tcp");
    if (!is_tcp && (count < 2 || strcmp(words[1], "icmp")))
        return fprintf(stderr, "usage: probes icmp|tcp < LINES\n"), 2;
    while (pods < MOST && scanf("%d %16s", &spaces[pods], text) == 2) {
        addresses[pods] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT)};
        check(inet_pton(AF_INET, text, &addresses[pods].sin_addr) != 1, text);
        pods++;
    }
    for (int pod = 0; is_tcp && pod < pods; pod++)
        listen_in(pod);
    first_identifier = getpid();
    double began = now_s();
    (is_tcp ? tcp : icmp)();
    printf("{\"pairs\": %ld, \"answered\": %ld, \"seconds\": %.6f}\n", sent, answered, now_s() - began);
    return 0;
}
