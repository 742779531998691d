"""The load generator: compiled on first use, run in front of a server or beside other work."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.path.join(tempfile.gettempdir(), "ostraka-load")
SERVER_CPU, GENERATOR_CPU = "0", "1"
BOTH_CPUS = "0,1"

# A sample is taken again while somebody else uses the cores: waiting for a CPU, as a share of the window.
SERVER_WAIT_LIMIT, GENERATOR_WAIT_LIMIT = 0.04, 0.06
RETAKES = 3
# Above the other work on the generator's core, so that a probe measures the server and not its own queue.
PROBE_PRIORITY = 5
PROBES_PER_S, PROBE_CONNS = 2000, 5
LONGEST_PROBE_S = 900


def build():
    """Compile the generator and the echo server, once per change."""
    os.makedirs(BINARIES, exist_ok=True)
    for tool in ("ldgen", "echo"):
        source, binary = os.path.join(HERE, tool + ".c"), binary_of(tool)
        if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
            subprocess.run(["cc", "-O2", "-o", binary, source, "-lpthread"], check=True)


def binary_of(tool):
    return os.path.join(BINARIES, tool)


def realtime(priority):
    """The words in front of a command that put it above ordinary work, if we may."""
    words = ["chrt", "-f", str(priority)]
    allowed = shutil.which("chrt") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if allowed else []


def favoured():
    """The words in front of a command that have it run before whatever else goes on, if we may; other compilers, say."""
    words = ["nice", "-n", "-20"]
    return words if subprocess.run([*words, "true"], capture_output=True).stderr == b"" else []


def arguments(server, request, *, conns=50, pipeline=1, value=64, keys=1000000, first=0, threads=1, ops=0, secs=1.0, warm=0.3, rate=0, series=False, cpus=GENERATOR_CPU):
    out = ["taskset", "-c", cpus, binary_of("ldgen"), "-p", server.port, "--pid", server.p.pid, "-c", conns, "-P", pipeline,
           "-s", value, "-k", keys, "-S", first, "-t", threads, "-r", rate]
    out += ["-n", ops] if ops else ["-d", secs, "-w", warm]
    out += ["--series"] if series else []
    return [str(x) for x in out + ["--", *shlex.split(request)]]


class Failed(Exception):
    """The server could not do what was asked of it."""


def parsed(output, errors):
    try:
        sample = json.loads(output)
    except ValueError:
        raise Failed(errors.strip()[-200:] or "the generator said nothing")
    if sample["errs"] > sample["ops"] * 0.01 or sample["dead"] or not sample["ops"]:
        raise Failed(sample["err"] or "%d connections died" % sample["dead"])
    sample["disturbed"] = sample["srv_wait"] > SERVER_WAIT_LIMIT or sample["gen_wait"] > GENERATOR_WAIT_LIMIT
    return sample


def run(server, request, **options):
    """One sample."""
    done = subprocess.run(arguments(server, request, **options), capture_output=True, text=True, timeout=600)
    return parsed(done.stdout, done.stderr)


def run_quiet(server, request, **options):
    """One sample, taken again while the machine is disturbed; the last one then stands, marked."""
    for attempt in range(1 + RETAKES):
        sample = run(server, request, **options)
        if not sample["disturbed"]:
            break
        time.sleep(0.3 + 0.7 * attempt)
    return sample


def load(server, request, count, **options):
    """Send so many requests as fast as they go."""
    return run(server, request, ops=count, **{"conns": 20, "pipeline": 100, **options})


class Probe:
    """GETs of another client at a steady rate while something else goes on; latency counts from when each was due."""

    def __init__(self, server, keys=1000):
        command = arguments(server, "GET %k", conns=PROBE_CONNS, rate=PROBES_PER_S, keys=keys, secs=LONGEST_PROBE_S, series=True)
        self.process = subprocess.Popen(realtime(PROBE_PRIORITY) + command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return parsed(*self.process.communicate(timeout=60))
