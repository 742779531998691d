// The floor: an epoll server that answers every RESP request with one canned reply and stores nothing. What a server
// costs beyond this is its own; a stall that this one shows as well is the machine's.
//
//   echo PORT [VALUE_BYTES]      replies +OK, or a bulk string of VALUE_BYTES

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 65536, READ_BUFFER = 64 * 1024, MAX_VALUE = 64 * 1024, EVENTS = 1024 };

static char reply[MAX_VALUE + 32];
static size_t reply_length;

static void make_reply(int value_bytes) {
    if (!value_bytes) {
        reply_length = (size_t)sprintf(reply, "+OK\r\n");
        return;
    }
    reply_length = (size_t)sprintf(reply, "$%d\r\n", value_bytes);
    memset(reply + reply_length, 'x', (size_t)value_bytes);
    reply_length += (size_t)value_bytes;
    memcpy(reply + reply_length, "\r\n", 2);
    reply_length += 2;
}

// Counts complete requests (arrays of bulk strings) over reads of any size.
struct counter {
    enum { ARRAY, COUNT, BULK, LENGTH } state;
    int arguments, skip, number;
};

static int count_requests(struct counter *c, const char *p, const char *end) {
    int done = 0;
    while (p < end) {
        if (c->skip) {
            int available = (int)(end - p), n = available < c->skip ? available : c->skip;
            p += n;
            c->skip -= n;
            if (c->skip) break;
            c->state = --c->arguments ? BULK : ARRAY;
            done += c->arguments == 0;
            continue;
        }
        char byte = *p++;
        if (byte >= '0' && byte <= '9') {
            c->number = c->number * 10 + byte - '0';
        } else if (byte == '*' || byte == '$') {
            c->number = 0;
            c->state = byte == '*' ? COUNT : LENGTH;
        } else if (byte == '\n' && c->state == COUNT) {
            c->arguments = c->number;
        } else if (byte == '\n' && c->state == LENGTH) {
            c->skip = c->number + 2;
        }
    }
    return done;
}

static void write_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno != EAGAIN) return;
        if (n > 0) bytes += n, length -= (size_t)n;
    }
}

static void answer(int fd, int requests) {
    static char out[1 << 21];
    size_t length = 0;
    for (; requests; requests--) {
        if (length + reply_length > sizeof out) {
            write_all(fd, out, length);
            length = 0;
        }
        memcpy(out + length, reply, reply_length);
        length += reply_length;
    }
    write_all(fd, out, length);
}

static int listen_on(int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("bind");
        exit(1);
    }
    return fd;
}

static struct counter counters[MAX_FDS];

static void accept_all(int epoll, int listener) {
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        memset(&counters[fd], 0, sizeof counters[fd]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve(int fd) {
    static char in[READ_BUFFER];
    ssize_t n = read(fd, in, sizeof in);
    if (n == 0 || (n < 0 && errno != EAGAIN)) close(fd);
    if (n <= 0) return;
    int requests = count_requests(&counters[fd], in, in + n);
    if (requests) answer(fd, requests);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    make_reply(argc > 2 ? atoi(argv[2]) : 0);
    int listener = listen_on(atoi(argv[1])), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) accept_all(epoll, listener);
            else serve(events[i].data.fd);
        }
    }
}
