// Load generator for RESP servers: one request template, many connections, one epoll loop per thread.
//
// Closed loop: every connection sends a pipeline of P requests, waits for all replies, sends the next. Open loop
// (-r): requests leave on a fixed schedule and latency counts from the moment they were due, so a server that stalls
// cannot hide behind requests that were not sent (no coordinated omission).
//
// The CPU time of the server (--pid) is read from its threads' schedstat exactly at both ends of the measured window.
// Prints one JSON object; SIGINT ends the measured window early.
//
//   ldgen -p PORT [-c CONNS] [-P PIPELINE] [-s VALUE_BYTES] [-k KEYS] [-S FIRST] [-t THREADS] [--pid PID] [--series]
//         (-d SECONDS [-w WARM_SECONDS] | -n OPS) [-r PER_SECOND] -- COMMAND ARGUMENT...
//
// In arguments: %k a random key of KEYS, %s the next key in sequence from FIRST, %v a value. Keys are 16 bytes.
// %m and %q are members of 10 bytes, at random and in sequence; %i and %j integers of 10 digits, the same way.
// An argument ; ends a command: several commands are then sent as one, and each counts as an operation.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BUFFER = 64 * 1024, EVENTS = 1024, MAX_PLACEHOLDERS = 64, TEMPLATE_BYTES = 1 << 20 };
enum { WINDOW_NS = 100 * 1000 * 1000 };

// What a placeholder looks like: a fixed front, then digits.
static const struct shape {
    char kind;
    bool in_sequence;
    const char *bytes;
    int digits;
} SHAPES[] = {
    {'k', false, "key:000000000000", 12},
    {'s', true, "key:000000000000", 12},
    {'m', false, "m000000000", 9},
    {'q', true, "m000000000", 9},
    {'i', false, "1000000000", 9},
    {'j', true, "1000000000", 9},
};

static const struct shape *shape_of(char kind) {
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        if (SHAPES[i].kind == kind) return &SHAPES[i];
    return NULL;
}

enum { WARMING, MEASURING, STOPPED };
static atomic_int phase;
static uint64_t measured_from;

static struct {
    int port, conns, pipeline, value_bytes, threads, server_pid;
    uint64_t keys, first, ops;
    double seconds, warm_seconds, rate;
    bool series;
} opt = {.conns = 50, .pipeline = 1, .value_bytes = 64, .threads = 1, .keys = 1000000, .seconds = 1, .warm_seconds = 0.3};

static void die(const char *what) {
    perror(what);
    exit(3);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- histogram: 64 buckets per power of two, 1.6 % precision

enum { SUB = 64, BUCKETS = SUB * 48 };

struct histogram {
    uint64_t count[BUCKETS], total, sum, max;
};

static int bucket_of(uint64_t v) {
    if (v < SUB) return (int)v;
    int shift = 63 - __builtin_clzll(v) - 6;
    int i = (shift + 1) * SUB + (int)((v >> shift) & (SUB - 1));
    return i < BUCKETS ? i : BUCKETS - 1;
}

static uint64_t bucket_value(int i) {
    if (i < SUB) return (uint64_t)i;
    return ((uint64_t)(i % SUB) + SUB) << (i / SUB - 1);
}

static void add(struct histogram *h, uint64_t v, uint64_t times) {
    h->count[bucket_of(v)] += times;
    h->total += times;
    h->sum += v * times;
    if (v > h->max) h->max = v;
}

static void merge(struct histogram *into, const struct histogram *h) {
    for (int i = 0; i < BUCKETS; i++) into->count[i] += h->count[i];
    into->total += h->total;
    into->sum += h->sum;
    if (h->max > into->max) into->max = h->max;
}

static double percentile_us(const struct histogram *h, double p) {
    uint64_t want = (uint64_t)((double)h->total * p / 100.0 + 0.999999), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += h->count[i];
        if (seen >= want && seen) {
            uint64_t v = bucket_value(i);
            return (double)(v > h->max ? h->max : v) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

// ---- the request template: bytes with places where keys are written

static struct {
    char bytes[TEMPLATE_BYTES];
    size_t length;
    struct {
        size_t offset;
        const struct shape *shape;
    } places[MAX_PLACEHOLDERS];
    int place_count, commands;
} request;

static void append(const char *bytes, size_t n) {
    if (request.length + n > TEMPLATE_BYTES) {
        fprintf(stderr, "the request is too long\n");
        exit(2);
    }
    memcpy(request.bytes + request.length, bytes, n);
    request.length += n;
}

static void append_value(void) {
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < opt.value_bytes; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        append(&"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[x % 64], 1);
    }
}

static size_t expanded_length(const char *argument) {
    size_t n = 0;
    for (const char *p = argument; *p; p++) {
        if (*p != '%') {
            n++;
            continue;
        }
        p++;
        if ((*p != 'v' && !shape_of(*p)) || request.place_count == MAX_PLACEHOLDERS) {
            fprintf(stderr, "bad placeholder in %s\n", argument);
            exit(2);
        }
        n += *p == 'v' ? (size_t)opt.value_bytes : strlen(shape_of(*p)->bytes);
    }
    return n;
}

static void append_argument(const char *argument) {
    char header[32];
    append(header, (size_t)snprintf(header, sizeof header, "$%zu\r\n", expanded_length(argument)));
    for (const char *p = argument; *p; p++) {
        if (*p != '%') {
            append(p, 1);
        } else if (*++p == 'v') {
            append_value();
        } else {
            const struct shape *shape = shape_of(*p);
            size_t length = strlen(shape->bytes);
            request.places[request.place_count].offset = request.length + length - (size_t)shape->digits;
            request.places[request.place_count++].shape = shape;
            append(shape->bytes, length);
        }
    }
    append("\r\n", 2);
}

static void append_command(int count, char **arguments) {
    char header[32];
    append(header, (size_t)snprintf(header, sizeof header, "*%d\r\n", count));
    for (int i = 0; i < count; i++) append_argument(arguments[i]);
    request.commands++;
}

static void build_request(int count, char **arguments) {
    int begin = 0;
    for (int i = 0; i <= count; i++) {
        if (i < count && strcmp(arguments[i], ";")) continue;
        append_command(i - begin, arguments + begin);
        begin = i + 1;
    }
}

// ---- connections and workers

struct conn {
    int fd;
    int pending;           // replies still to come of the pipeline under way
    uint64_t due;          // when the pipeline was sent, or should have been
    char *out;
    size_t out_sent, out_length;
    bool wants_write;
    char *in;
    size_t in_length;      // bytes of an incomplete line
    long elements;         // still to come of the reply under way
    long skip;             // bytes still to come of the bulk under way, its CRLF included
};

struct worker {
    pthread_t thread;
    int id, conn_count, epoll, dead;
    struct conn *conns;
    uint64_t done, issued, next_in_sequence, random;
    uint64_t errors, nils;
    char first_error[160];
    struct histogram latency;
    uint64_t *window_max;
    size_t window_count;
};

static uint64_t next_random(struct worker *w) {
    uint64_t x = w->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return w->random = x;
}

static void write_digits(char *at, int digits, uint64_t value) {
    for (int i = digits - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
}

// Writes keys into one request of a pipeline.
static void fill(struct worker *w, char *bytes) {
    bool sequential = false;
    for (int i = 0; i < request.place_count; i++) {
        const struct shape *shape = request.places[i].shape;
        bool in_sequence = shape->in_sequence;
        write_digits(bytes + request.places[i].offset, shape->digits, in_sequence ? w->next_in_sequence : (next_random(w) >> 8) % opt.keys);
        sequential |= in_sequence;
    }
    if (sequential) w->next_in_sequence += (uint64_t)opt.threads;
}

static void watch(struct worker *w, struct conn *c, bool write, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(w->epoll, operation, c->fd, &event) < 0) die("epoll_ctl");
    c->wants_write = write;
}

static void lose(struct worker *w, struct conn *c) {
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    w->dead++;
}

static void flush(struct worker *w, struct conn *c) {
    while (c->out_sent < c->out_length) {
        ssize_t n = write(c->fd, c->out + c->out_sent, c->out_length - c->out_sent);
        if (n >= 0) {
            c->out_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!c->wants_write) watch(w, c, true, EPOLL_CTL_MOD);
            return;
        } else if (errno != EINTR) {
            lose(w, c);
            return;
        }
    }
    if (c->wants_write) watch(w, c, false, EPOLL_CTL_MOD);
}

static uint64_t share_of_ops(void) { return opt.ops / (uint64_t)opt.threads; }

static void send_pipeline(struct worker *w, struct conn *c, uint64_t due) {
    uint64_t n = (uint64_t)opt.pipeline;
    if (opt.ops) {
        uint64_t left = share_of_ops() - w->issued;
        if (left < n) n = left;
        if (!n) return;
    }
    for (uint64_t i = 0; i < n; i++) fill(w, c->out + i * request.length);
    w->issued += n;
    c->out_sent = 0;
    c->out_length = n * request.length;
    c->pending = (int)n * request.commands;
    c->due = due;
    flush(w, c);
}

static void note_error(struct worker *w, const char *line, size_t n) {
    w->errors++;
    if (w->first_error[0]) return;
    if (n > sizeof w->first_error - 1) n = sizeof w->first_error - 1;
    for (size_t i = 0; i < n; i++) w->first_error[i] = line[i] < ' ' || strchr("\"\\", line[i]) ? ' ' : line[i];
}

// One line of a reply: how many elements and bytes follow.
static void take_line(struct worker *w, struct conn *c, const char *line, size_t n) {
    long count;
    switch (line[0]) {
    case '$':
    case '=':
        count = strtol(line + 1, NULL, 10);
        if (count >= 0) {
            c->skip = count + 2;
            return;
        }
        w->nils++;
        c->elements--;
        return;
    case '*':
    case '~':
        count = strtol(line + 1, NULL, 10);
        c->elements += (count > 0 ? count : 0) - 1;
        return;
    case '%':
        c->elements += 2 * strtol(line + 1, NULL, 10) - 1;
        return;
    case '-':
        note_error(w, line, n);
        break;
    case '_':
        w->nils++;
        break;
    }
    c->elements--;
}

// Replies completed by the bytes in the connection's buffer; an incomplete line stays there.
static int take_replies(struct worker *w, struct conn *c, size_t length) {
    char *p = c->in, *end = c->in + length;
    int replies = 0;
    while (p < end) {
        if (c->skip) {
            long available = end - p;
            long n = available < c->skip ? available : c->skip;
            p += n;
            c->skip -= n;
            if (!c->skip) c->elements--;
        } else {
            char *newline = memchr(p, '\n', (size_t)(end - p));
            if (!newline) break;
            take_line(w, c, p, (size_t)(newline - p));
            p = newline + 1;
        }
        if (!c->elements && !c->skip) {
            replies++;
            c->elements = 1;
        }
    }
    c->in_length = (size_t)(end - p);
    memmove(c->in, p, c->in_length);
    return replies;
}

static void record(struct worker *w, uint64_t now, uint64_t due, int replies) {
    w->done += (uint64_t)replies;
    if (atomic_load_explicit(&phase, memory_order_relaxed) != MEASURING) return;
    uint64_t latency = now > due ? now - due : 0;
    add(&w->latency, latency, (uint64_t)replies);
    size_t window = (size_t)((now - measured_from) / WINDOW_NS);
    if (w->window_max && now >= measured_from && window < w->window_count && latency > w->window_max[window])
        w->window_max[window] = latency;
}

// True if the connection has become free.
static bool receive(struct worker *w, struct conn *c) {
    ssize_t n = read(c->fd, c->in + c->in_length, READ_BUFFER - c->in_length);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) lose(w, c);
        return false;
    }
    int replies = take_replies(w, c, c->in_length + (size_t)n);
    if (!replies) return false;
    c->pending -= replies;
    record(w, now_ns(), c->due, replies);
    return c->pending == 0;
}

static bool finished(const struct worker *w) {
    return w->dead == w->conn_count || (opt.ops && w->done >= share_of_ops() * (uint64_t)request.commands);
}

static void *run_closed(void *argument) {
    struct worker *w = argument;
    struct epoll_event events[EVENTS];
    for (int i = 0; i < w->conn_count; i++) send_pipeline(w, &w->conns[i], now_ns());
    while (atomic_load(&phase) != STOPPED && !finished(w)) {
        int n = epoll_wait(w->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush(w, c);
            if (events[i].events & ~(uint32_t)EPOLLOUT && receive(w, c)) send_pipeline(w, c, now_ns());
        }
    }
    return NULL;
}

static void *run_open(void *argument) {
    struct worker *w = argument;
    struct epoll_event events[EVENTS];
    prctl(PR_SET_TIMERSLACK, 1000);
    uint64_t gap = (uint64_t)(1e9 * opt.threads * opt.pipeline / opt.rate), due = now_ns() + gap;
    struct conn **free_conns = malloc(sizeof *free_conns * (size_t)w->conn_count);
    int free_count = 0;
    for (int i = 0; i < w->conn_count; i++) free_conns[free_count++] = &w->conns[i];
    while (atomic_load(&phase) != STOPPED && !finished(w)) {
        uint64_t now = now_ns();
        for (; free_count && now >= due; due += gap) send_pipeline(w, free_conns[--free_count], due);
        uint64_t wait = free_count && due > now ? due - now : free_count ? 0 : 1000000;
        struct timespec timeout = {0, (long)(wait < 5000000 ? wait : 5000000)};
        int n = epoll_pwait2(w->epoll, events, EVENTS, &timeout, NULL);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush(w, c);
            if (events[i].events & ~(uint32_t)EPOLLOUT && receive(w, c)) free_conns[free_count++] = c;
        }
    }
    free(free_conns);
    return NULL;
}

static int dial(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (void *)&address, sizeof address) < 0) die("connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void open_conn(struct worker *w, struct conn *c) {
    c->fd = dial();
    c->elements = 1;
    c->in = malloc(READ_BUFFER);
    c->out = malloc(request.length * (size_t)opt.pipeline);
    for (int i = 0; i < opt.pipeline; i++) memcpy(c->out + (size_t)i * request.length, request.bytes, request.length);
    watch(w, c, false, EPOLL_CTL_ADD);
}

static void prepare(struct worker *w, int id) {
    w->id = id;
    w->next_in_sequence = opt.first + (uint64_t)id;
    w->random = (now_ns() ^ 0x9E3779B97F4A7C15u * (uint64_t)(id + 1)) | 1;
    w->epoll = epoll_create1(0);
    w->conn_count = opt.conns / opt.threads + (id < opt.conns % opt.threads);
    w->conns = calloc((size_t)w->conn_count, sizeof *w->conns);
    for (int i = 0; i < w->conn_count; i++) open_conn(w, &w->conns[i]);
    if (opt.series) {
        w->window_count = (size_t)((opt.seconds + 5) * 10);
        w->window_max = calloc(w->window_count, sizeof *w->window_max);
    }
}

// ---- CPU time and time spent waiting for a CPU, over all threads of a process

struct usage {
    double cpu_s, wait_s;
};

static struct usage usage_of(const char *pid) {
    struct usage sum = {0};
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        if (task->d_name[0] == '.') continue;  // `..` would count the main thread a second time
        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, task->d_name);
        FILE *f = fopen(path, "r");
        unsigned long long cpu, wait;
        if (f && fscanf(f, "%llu %llu", &cpu, &wait) == 2) sum.cpu_s += (double)cpu / 1e9, sum.wait_s += (double)wait / 1e9;
        if (f) fclose(f);
    }
    if (tasks) closedir(tasks);
    return sum;
}

struct moment {
    uint64_t at_ns, done;
    struct usage server, self;
};

static struct moment moment(const struct worker *workers) {
    char pid[16];
    snprintf(pid, sizeof pid, "%d", opt.server_pid);
    struct moment m = {.server = usage_of(pid), .self = usage_of("self"), .at_ns = now_ns()};
    for (int i = 0; i < opt.threads; i++) m.done += *(volatile const uint64_t *)&workers[i].done;
    return m;
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

// Until the time is over or a SIGINT comes.
static void sleep_s(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (!interrupted && nanosleep(&t, &t) < 0 && errno == EINTR) {}
}

static void join(struct worker *workers) {
    for (int i = 0; i < opt.threads; i++) pthread_join(workers[i].thread, NULL);
}

static void report(struct worker *workers, struct moment from, struct moment to) {
    static struct histogram all;
    uint64_t errors = 0, nils = 0, ops = to.done - from.done;
    int dead = 0;
    for (int i = 0; i < opt.threads; i++) {
        merge(&all, &workers[i].latency);
        errors += workers[i].errors, nils += workers[i].nils, dead += workers[i].dead;
    }
    double secs = (double)(to.at_ns - from.at_ns) / 1e9, cpu = to.server.cpu_s - from.server.cpu_s;
    printf("{\"ops\":%llu,\"secs\":%.4f,\"ops_s\":%.1f,\"cpu_s\":%.4f,\"cpu_us_op\":%.4f,\"srv_wait\":%.3f,\"gen_wait\":%.3f,",
           (unsigned long long)ops, secs, (double)ops / secs, cpu, ops ? cpu * 1e6 / (double)ops : 0,
           (to.server.wait_s - from.server.wait_s) / secs, (to.self.wait_s - from.self.wait_s) / secs);
    printf("\"avg_us\":%.2f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f,", all.total ? (double)all.sum / 1e3 / (double)all.total : 0,
           percentile_us(&all, 50), percentile_us(&all, 99), percentile_us(&all, 99.9), (double)all.max / 1e3);
    printf("\"errs\":%llu,\"nil\":%llu,\"dead\":%d,\"err\":\"%s\"", (unsigned long long)errors, (unsigned long long)nils, dead, workers[0].first_error);
    if (opt.series) {
        printf(",\"series_ms\":[");
        for (size_t i = 0; i < (size_t)(secs * 10); i++) {
            uint64_t worst = 0;
            for (int k = 0; k < opt.threads; k++)
                if (i < workers[k].window_count && workers[k].window_max[i] > worst) worst = workers[k].window_max[i];
            printf("%s%.3f", i ? "," : "", (double)worst / 1e6);
        }
        printf("]");
    }
    printf("}\n");
}

static void measure(struct worker *workers) {
    struct moment from = {0}, to;
    if (opt.ops) {
        from = moment(workers);
        measured_from = from.at_ns;
        atomic_store(&phase, MEASURING);
    }
    for (int i = 0; i < opt.threads; i++) pthread_create(&workers[i].thread, NULL, opt.rate > 0 ? run_open : run_closed, &workers[i]);
    if (opt.ops) {
        join(workers);
        to = moment(workers);
    } else {
        sleep_s(opt.warm_seconds);
        from = moment(workers);
        measured_from = from.at_ns;
        atomic_store(&phase, MEASURING);
        sleep_s(opt.seconds);
        to = moment(workers);
        atomic_store(&phase, STOPPED);
        join(workers);
    }
    report(workers, from, to);
}

static int parse_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (!strcmp(name, "--")) return i + 1;
        if (!strcmp(name, "--series")) {
            opt.series = true;
            continue;
        }
        if (++i == argc) break;
        const char *value = argv[i];
        if (!strcmp(name, "-p")) opt.port = atoi(value);
        else if (!strcmp(name, "-c")) opt.conns = atoi(value);
        else if (!strcmp(name, "-P")) opt.pipeline = atoi(value);
        else if (!strcmp(name, "-s")) opt.value_bytes = atoi(value);
        else if (!strcmp(name, "-k")) opt.keys = strtoull(value, NULL, 10);
        else if (!strcmp(name, "-S")) opt.first = strtoull(value, NULL, 10);
        else if (!strcmp(name, "-n")) opt.ops = strtoull(value, NULL, 10);
        else if (!strcmp(name, "-t")) opt.threads = atoi(value);
        else if (!strcmp(name, "-d")) opt.seconds = atof(value);
        else if (!strcmp(name, "-w")) opt.warm_seconds = atof(value);
        else if (!strcmp(name, "-r")) opt.rate = atof(value);
        else if (!strcmp(name, "--pid")) opt.server_pid = atoi(value);
        else break;
    }
    fprintf(stderr, "usage: see the first lines of ldgen.c\n");
    exit(2);
}

int main(int argc, char **argv) {
    int command = parse_options(argc, argv);
    signal(SIGINT, interrupt);
    build_request(argc - command, argv + command);
    struct worker *workers = calloc((size_t)opt.threads, sizeof *workers);
    for (int i = 0; i < opt.threads; i++) prepare(&workers[i], i);
    measure(workers);
    return 0;
}
