/* rtnetlink as bytes: messages are gathered in a buffer and sent by one send(). */
#ifndef NETLINK_H
#define NETLINK_H

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGEST_BATCH (64 << 10) /* fits into the send buffer every socket has by default */

struct batch {
    char bytes[LARGEST_BATCH];
    int length;
    struct nlmsghdr *last; /* the message being written */
};

static inline void check(int failed, const char *what) {
    if (failed) {
        perror(what);
        exit(1);
    }
}

static inline void *reserve(struct batch *batch, int bytes) {
    int aligned = NLMSG_ALIGN(bytes);
    check(batch->length + aligned > LARGEST_BATCH, "batch full");
    void *place = batch->bytes + batch->length;
    memset(place, 0, aligned);
    batch->length += aligned;
    return place;
}

/* A new message of a header and a fixed body; attributes follow, then finish(). */
static inline void *begin(struct batch *batch, int type, int flags, int body) {
    batch->last = reserve(batch, sizeof *batch->last);
    batch->last->nlmsg_type = type;
    batch->last->nlmsg_flags = NLM_F_REQUEST | flags;
    return reserve(batch, body);
}

static inline void finish(struct batch *batch) {
    batch->last->nlmsg_len = batch->bytes + batch->length - (char *)batch->last;
}

static inline struct rtattr *attribute(struct batch *batch, int type, const void *value, int bytes) {
    struct rtattr *place = reserve(batch, sizeof *place + bytes);
    place->rta_type = type;
    place->rta_len = sizeof *place + bytes;
    if (bytes)
        memcpy(RTA_DATA(place), value, bytes);
    return place;
}

static inline void number(struct batch *batch, int type, uint32_t value) {
    attribute(batch, type, &value, sizeof value);
}

static inline void text(struct batch *batch, int type, const char *value) {
    attribute(batch, type, value, strlen(value) + 1);
}

static inline struct rtattr *nest(struct batch *batch, int type) {
    return attribute(batch, type, NULL, 0);
}

static inline void close_nest(struct batch *batch, struct rtattr *opened) {
    opened->rta_len = batch->bytes + batch->length - (char *)opened;
}

/* A socket of the namespace the caller is in. */
static inline int netlink_socket(void) {
    int own = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    check(own < 0, "socket");
    return own;
}

/* Sends the batch; the kernel's answer to the last message is its answer to all, or an error. */
static inline void send_batch(int netlink, struct batch *batch) {
    static char answer[LARGEST_BATCH];
    batch->last->nlmsg_flags |= NLM_F_ACK;
    check(send(netlink, batch->bytes, batch->length, 0) != batch->length, "send");
    int received = recv(netlink, answer, sizeof answer, 0);
    check(received < (int)sizeof(struct nlmsghdr), "recv");
    struct nlmsgerr *said = NLMSG_DATA((struct nlmsghdr *)answer);
    errno = -said->error;
    check(said->error, "netlink");
    batch->length = 0;
}

#endif
