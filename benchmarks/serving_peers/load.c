/* Ask a server the same thing over kept-alive connections for so long, one request at a time on each.
 *
 * load PORT CONNECTIONS SECONDS REQUEST_FILE
 * Prints one JSON line: replies, errors (not 200), reconnects, seconds, cpu_s (its own), p50_ms, p99_ms, max_ms, failed
 * (the first bad reply's head). Reads replies with a content length as well as chunked ones.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM (8 << 20)

typedef struct {
    int fd;
    size_t sent, got;
    double began;
    char *reply;
} Connection;

static char *request;
static size_t request_size;
static struct sockaddr_in address;
static int poller;
static char failed[400];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void stop(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void wait_for(Connection *one, int kind, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = one};
    if (epoll_ctl(poller, kind, one->fd, &event)) stop("epoll_ctl");
}

static void push(Connection *one) {
    while (one->sent < request_size) {
        ssize_t count = send(one->fd, request + one->sent, request_size - one->sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) {
            wait_for(one, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (count < 0) return; /* closed: the read side sees it */
        one->sent += count;
    }
}

static void ask(Connection *one) {
    one->sent = one->got = 0;
    one->began = now();
    push(one);
}

static void connect_anew(Connection *one) {
    int yes = 1;
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(one->fd, (struct sockaddr *)&address, sizeof address)) stop("connect");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    wait_for(one, EPOLL_CTL_ADD, EPOLLIN);
}

/* Say whether a reply is whole. */
static int is_whole(Connection *one) {
    one->reply[one->got] = 0;
    char *end = strstr(one->reply, "\r\n\r\n");
    if (!end) return 0;
    *end = 0; /* look for headers in the head only */
    char *length = strcasestr(one->reply, "\r\ncontent-length:");
    int chunked = strcasestr(one->reply, "\r\ntransfer-encoding:") != NULL;
    long size = length ? atol(length + 17) : 0;
    *end = '\r';
    size_t body = one->got - (end + 4 - one->reply);
    if (chunked) return body >= 5 && !memcmp(one->reply + one->got - 5, "0\r\n\r\n", 5);
    return (long)body >= size;
}

static int by_size(const void *a, const void *b) {
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]);
    FILE *file = fopen(argv[4], "rb");
    if (!file) stop(argv[4]);
    request = malloc(ROOM);
    request_size = fread(request, 1, ROOM, file);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    poller = epoll_create1(0);
    Connection *all = calloc(count, sizeof *all);
    size_t replies = 0, room = 1 << 20, errors = 0, reconnects = 0;
    float *took = malloc(room * sizeof *took);
    for (int at = 0; at < count; at++) {
        all[at].reply = malloc(ROOM);
        connect_anew(&all[at]);
    }
    double start = now(), end = start + seconds, late = end + 60;
    int open = count;
    for (int at = 0; at < count; at++) ask(&all[at]);
    struct epoll_event events[256];
    /* what has been asked is waited for: the server's work and its replies are counted alike */
    while (open && now() < late) {
        int ready = epoll_wait(poller, events, 256, 1000);
        for (int at = 0; at < ready; at++) {
            Connection *one = events[at].data.ptr;
            if (events[at].events & EPOLLOUT) {
                wait_for(one, EPOLL_CTL_MOD, EPOLLIN);
                push(one);
            }
            if (!(events[at].events & ~EPOLLOUT)) continue;
            ssize_t size = recv(one->fd, one->reply + one->got, ROOM - 1 - one->got, 0);
            if (size < 0 && errno == EAGAIN) continue;
            if (size <= 0) {
                close(one->fd);
                reconnects++;
                connect_anew(one);
                ask(one);
                continue;
            }
            one->got += size;
            if (!is_whole(one)) continue;
            double done = now();
            if (strncmp(one->reply + 8, " 200", 4)) {
                errors++;
                if (!*failed)
                    for (int to = 0; to < 300 && one->reply[to]; to++)
                        failed[to] = strchr("\"\\\r\n", one->reply[to]) ? ' ' : one->reply[to];
            }
            if (replies == room) took = realloc(took, (room *= 2) * sizeof *took);
            took[replies++] = (done - one->began) * 1e3;
            if (done < end) ask(one);
            else open--;
        }
    }
    double whole = now() - start;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    qsort(took, replies, sizeof *took, by_size);
    printf("{\"replies\": %zu, \"errors\": %zu, \"reconnects\": %zu, \"unanswered\": %d, \"seconds\": %.4f, \"cpu_s\": %.4f, "
           "\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, \"failed\": \"%s\"}\n",
           replies, errors, reconnects, open, whole,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6,
           replies ? took[replies / 2] : 0, replies ? took[(size_t)(replies * 0.99)] : 0,
           replies ? took[replies - 1] : 0, failed);
    return 0;
}
