/* Network namespaces of our own user namespace, and how to tell that they are really gone. */
#ifndef SPACES_H
#define SPACES_H

#include "netlink.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#define LIMIT "/proc/sys/user/max_net_namespaces"

static inline double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static inline void write_file(const char *path, const char *value) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    check(file < 0, path);
    check(write(file, value, strlen(value)) < 0, path);
    close(file);
}

static inline void own_user_namespace(void) {
    char map[32];
    int user = getuid(), group = getgid();
    check(unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %d 1", user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %d 1", group);
    write_file("/proc/self/gid_map", map);
    write_file(LIMIT, "1000000");
}

/* A descriptor of a new network namespace; the caller is in it. */
static inline int new_space(void) {
    check(unshare(CLONE_NEWNET), "unshare");
    int space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    check(space < 0, "open ns/net");
    return space;
}

static inline void enter(int space) { check(setns(space, CLONE_NEWNET), "setns"); }

/* The kernel counts a user namespace's network namespaces until the last of their memory is
 * freed, and refuses one above the limit: exact, and blind to what other programs do. */
static inline int at_most(int spaces) {
    char limit[16];
    int status;
    snprintf(limit, sizeof limit, "%d", spaces + 1);
    write_file(LIMIT, limit);
    pid_t child = fork();
    if (child == 0)
        _exit(unshare(CLONE_NEWNET) != 0);
    waitpid(child, &status, 0);
    write_file(LIMIT, "1000000");
    return status == 0;
}

static inline void wait_for_at_most(int spaces) {
    while (!at_most(spaces))
        usleep(1000);
}

#endif
