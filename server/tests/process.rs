//! The binary from outside: how it starts, what it logs, how it ends.
#![expect(clippy::disallowed_methods, reason = "a test waits in real time")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own for a test, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let place = std::env::temp_dir().join(format!("ostraka-{test}-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        Self(place.canonicalize().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A server process whose standard output is the file `out`.
struct Ostraka<'a> {
    process: Child,
    place: &'a Place,
}

impl<'a> Ostraka<'a> {
    fn spawn(place: &'a Place, configure: impl FnOnce(&mut Command)) -> Self {
        let out = fs::File::create(place.path("out")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostraka"));
        command
            .current_dir(&place.0)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        configure(&mut command);
        let process = command.spawn().unwrap();
        Self { process, place }
    }

    fn with_options(place: &'a Place, options: &str) -> Self {
        Self::spawn(place, |command| {
            command.args(options.split_ascii_whitespace());
        })
    }

    fn ready(self) -> Self {
        let place = self.place;
        wait_until("the server is ready", || {
            place.read("out").contains("Ready to accept connections")
        });
        self
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    fn kill(&self, signal: &str) {
        let (pid, signal) = (self.pid().to_string(), format!("-{signal}"));
        let killed = Command::new("kill").args([signal, pid]).status().unwrap();
        assert!(killed.success());
    }

    fn ended(mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server has ended", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Ostraka<'_> {
    fn drop(&mut self) {
        // It has ended already, unless its test failed.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn ask(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = [0; 512];
    let length = stream.read(&mut reply).unwrap();
    String::from_utf8_lossy(&reply[..length]).into_owned()
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn file_stdin_and_options_are_read_in_this_order() {
    let place = Place::new("sources");
    let port = free_port();
    fs::write(place.path("a.conf"), "port 1\nmaxclients 10\nhz 20\n").unwrap();
    fs::write(place.path("in"), "port 2\nmaxclients 30\n").unwrap();
    let server = Ostraka::spawn(&place, |command| {
        let options = ["a.conf", "--port", &port.to_string(), "-"];
        command.args(options);
        command.stdin(fs::File::open(place.path("in")).unwrap());
    })
    .ready();
    let got = ask(connect(port), "CONFIG GET maxclients\r\n");
    assert_eq!(got, "*2\r\n$10\r\nmaxclients\r\n$2\r\n30\r\n");
    assert!(place.read("out").contains(" * Configuration loaded\n"));
    server.kill("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn what_cannot_be_started_ends_with_1_and_says_why() {
    let place = Place::new("refusals");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let listener = UnixListener::bind(place.path("answered")).unwrap();
    fs::write(place.path("file"), "precious").unwrap();
    for (options, text) in [
        ("--bogus 1", "Bad directive or wrong number of arguments"),
        ("none.conf", "# Fatal error, can't open config file"),
        (
            "--rename-command nosuch x",
            "No such command in rename-command",
        ),
        (
            "--rename-command get set",
            "Target command name already exists",
        ),
        (&format!("--port {port}"), "(TCP), aborting."),
        (&format!("--port {port}"), "bind: Address already in use"),
        ("--port 0", "Configured to not listen anywhere, exiting."),
        (
            "--port 0 --unixsocket answered",
            "Failed opening Unix socket: bind: Address already in use",
        ),
        (
            "--port 0 --unixsocket file",
            "Failed opening Unix socket: bind: Address already in use",
        ),
    ] {
        let status = Ostraka::with_options(&place, options).ended();
        assert_eq!(status.code(), Some(1), "{options}");
        let log = place.read("out");
        assert!(log.contains(text), "{options}: {log}");
    }
    assert_eq!(place.read("file"), "precious");
    drop(listener);
}

#[test]
fn a_renamed_command_answers_to_its_new_name_alone() {
    let place = Place::new("renamed");
    let port = free_port();
    let lines = "rename-command FLUSHDB badger\nrename-command flushall \"\"\n\
                 rename-command GET Xget\nrename-command set get\n";
    fs::write(place.path("a.conf"), format!("port {port}\n{lines}")).unwrap();
    let server = Ostraka::with_options(&place, "a.conf").ready();
    let say = |request: &str| ask(connect(port), &format!("{request}\r\n"));
    for (request, reply) in [
        ("get k v", "+OK\r\n"),
        ("XGET k", "$1\r\nv\r\n"),
        (
            "xget",
            "-ERR wrong number of arguments for 'get' command\r\n",
        ),
        (
            "set k v",
            "-ERR unknown command 'set', with args beginning with: 'k' 'v' \r\n",
        ),
        (
            "flushdb",
            "-ERR unknown command 'flushdb', with args beginning with: \r\n",
        ),
        (
            "FLUSHALL",
            "-ERR unknown command 'FLUSHALL', with args beginning with: \r\n",
        ),
        ("BADGER", "+OK\r\n"),
        ("COMMAND INFO flushdb", "*1\r\n$-1\r\n"),
        (
            "COMMAND LIST FILTERBY PATTERN flush*",
            "*1\r\n$7\r\nflushdb\r\n",
        ),
        ("COMMAND LIST FILTERBY PATTERN badg*", "*0\r\n"),
        ("COMMAND GETKEYS xget a", "*1\r\n$1\r\na\r\n"),
        ("CONFIG REWRITE", "+OK\r\n"),
    ] {
        assert_eq!(say(request), reply, "{request}");
    }
    assert!(say("COMMAND INFO badger").starts_with("*1\r\n*10\r\n$7\r\nflushdb\r\n:-1\r\n"));
    assert!(say("COMMAND DOCS badger").starts_with("*2\r\n$7\r\nflushdb\r\n"));
    assert!(
        place.read("a.conf").contains(lines),
        "a rewrite keeps the lines"
    );
    server.kill("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn sigterm_and_sigint_end_in_order_and_sighup_does_nothing() {
    for signal in ["TERM", "INT"] {
        let place = Place::new(signal);
        let port = free_port();
        let options = format!("--port {port} --pidfile p.pid --unixsocket s.sock --shards 2");
        let server = Ostraka::with_options(&place, &options).ready();
        assert_eq!(place.read("p.pid"), format!("{}\n", server.pid()));
        server.kill("HUP");
        let mut client = connect(port);
        assert_eq!(ask(&mut client, "PING\r\n"), "+PONG\r\n");
        server.kill(signal);
        assert_eq!(server.ended().code(), Some(0));
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "closed, not reset");
        let log = place.read("out");
        for line in [
            &format!("Received SIG{signal} scheduling shutdown..."),
            "User requested shutdown...",
            "Removing the pid file.",
            "Removing the unix socket file.",
            "Redis is now ready to exit, bye bye...",
        ] {
            assert!(log.contains(line), "{line}: {log}");
        }
        assert!(!place.path("p.pid").exists() && !place.path("s.sock").exists());
    }
}

#[test]
fn a_second_sigint_does_not_wait() {
    let place = Place::new("insist");
    let port = free_port();
    let options = format!("--port {port} --shards 1 --enable-debug-command yes");
    let server = Ostraka::with_options(&place, &options).ready();
    let mut client = connect(port);
    client.write_all(b"DEBUG SLEEP 600\r\n").unwrap();
    // The loop sleeps once nobody is answered any more.
    wait_until("the loop sleeps", || {
        let mut other = connect(port);
        other
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        other.write_all(b"PING\r\n").unwrap();
        other.read(&mut [0; 7]).is_err()
    });
    server.kill("INT");
    wait_until("the first is taken", || {
        place.read("out").contains("SIGINT")
    });
    server.kill("INT");
    assert_eq!(server.ended().code(), Some(1));
    assert!(place.read("out").contains("You insist... exiting now."));
}

#[test]
fn shutdown_with_save_is_refused_as_long_as_nothing_can_be_saved() {
    let place = Place::new("save");
    let port = free_port();
    let options = format!("--port {port} --shutdown-on-sigterm save");
    let server = Ostraka::with_options(&place, &options).ready();
    server.kill("TERM");
    wait_until("the signal is refused", || {
        place
            .read("out")
            .contains("SIGTERM received but errors trying to shut down")
    });
    assert_eq!(ask(connect(port), "PING\r\n"), "+PONG\r\n");
    let reply = ask(connect(port), "SHUTDOWN NOSAVE\r\n");
    assert_eq!(reply, "");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_unix_socket_has_its_permissions_and_replaces_a_deserted_one() {
    let place = Place::new("unix");
    let path = place.path("s.sock");
    drop(UnixListener::bind(&path).unwrap());
    let options = "--port 0 --unixsocket s.sock --unixsocketperm 750";
    let server = Ostraka::with_options(&place, options).ready();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    let stream = UnixStream::connect(&path).unwrap();
    assert_eq!(ask(stream, "PING\r\n"), "+PONG\r\n");
    server.kill("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

/// `4711:M 23 Nov 2026 07:21:09.123 * text`
fn is_log_line(line: &str) -> bool {
    let shape = |text: &str| -> String {
        let kind = |c: char| match c {
            '0'..='9' => '0',
            'a'..='z' | 'A'..='Z' => 'a',
            other => other,
        };
        text.chars().map(kind).collect()
    };
    let Some((pid, rest)) = line.split_once(':') else {
        return false;
    };
    pid.parse::<u32>().is_ok()
        && rest.len() > 30
        && matches!(&rest[..2], "C " | "M ")
        && shape(&rest[2..26]) == "00 aaa 0000 00:00:00.000"
        && [" . ", " - ", " * ", " # "].contains(&&rest[26..29])
}

#[test]
fn log_lines_have_redis_format_and_the_level_can_be_changed() {
    let place = Place::new("log");
    let port = free_port();
    let options = format!("--port {port} --logfile server.log --loglevel notice --shards 1");
    let server = Ostraka::with_options(&place, &options);
    let ready = |name: &str| place.read(name).contains("Ready to accept connections tcp");
    wait_until("the server is ready", || ready("server.log"));
    let log = place.read("server.log");
    assert!(log.lines().all(is_log_line), "{log}");
    assert!(log.contains(" * Server initialized\n"), "{log}");
    assert_eq!(place.read("out"), "");

    // Moved away: the next line begins a new file. Above the level: no line.
    fs::rename(place.path("server.log"), place.path("server.log.1")).unwrap();
    let too_small = "CONFIG SET maxmemory 1\r\n";
    assert_eq!(ask(connect(port), too_small), "+OK\r\n");
    assert!(
        place
            .read("server.log")
            .contains(" # WARNING: the new maxmemory value")
    );
    assert_eq!(
        ask(connect(port), "CONFIG SET loglevel nothing\r\n"),
        "+OK\r\n"
    );
    let before = place.read("server.log");
    assert_eq!(ask(connect(port), "CONFIG SET maxmemory 2\r\n"), "+OK\r\n");
    assert_eq!(place.read("server.log"), before);
    server.kill("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn suites_find_the_process_in_the_logo() {
    let place = Place::new("logo");
    let options = format!("--port {} --always-show-logo yes", free_port());
    let server = Ostraka::with_options(&place, &options).ready();
    let pid = format!(" PID: {}\n", server.pid());
    assert!(place.read("out").contains(&pid));
    server.kill("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_crash_leaves_a_report_and_the_true_signal() {
    for (signal, number) in [("SEGV", 11), ("ABRT", 6)] {
        let place = Place::new(signal);
        let port = free_port();
        let options = format!("--port {port} --shards 2");
        let server = Ostraka::with_options(&place, &options).ready();
        assert_eq!(ask(connect(port), "SET k v\r\n"), "+OK\r\n");
        server.kill(signal);
        assert_eq!(server.ended().signal(), Some(number));
        let log = place.read("out");
        for text in [
            "=== REDIS BUG REPORT START: Cut & paste starting from here ===",
            &format!("Redis 7.2.4 crashed by signal: {number}, si_code: "),
            "------ STACK TRACE ------",
            "loop-0: set\n",
            "=== REDIS BUG REPORT END.",
        ] {
            assert!(log.contains(text), "{text}: {log}");
        }
    }
}

#[test]
fn a_panic_in_a_loop_ends_the_process_with_the_same_report() {
    let place = Place::new("panic");
    let port = free_port();
    let options = format!("--port {port} --shards 2 --enable-debug-command yes");
    let server = Ostraka::with_options(&place, &options).ready();
    assert_eq!(ask(connect(port), "DEBUG PANIC\r\n"), "");
    assert_eq!(server.ended().signal(), Some(6));
    let log = place.read("out");
    for text in [
        "=== REDIS BUG REPORT START: Cut & paste starting from here ===",
        "DEBUG PANIC\n",
        "------ STACK TRACE ------",
        "src/net/event_loop.rs",
        "loop-0: debug\n",
        "=== REDIS BUG REPORT END.",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
}

#[test]
fn no_report_is_written_if_none_is_wanted() {
    let place = Place::new("no-report");
    let options = format!("--port {} --crash-log-enabled no", free_port());
    let server = Ostraka::with_options(&place, &options).ready();
    server.kill("SEGV");
    assert_eq!(server.ended().signal(), Some(11));
    assert!(!place.read("out").contains("BUG REPORT"));
}

#[test]
fn systemd_is_told_about_the_start_and_the_end() {
    let place = Place::new("systemd");
    let systemd = UnixDatagram::bind(place.path("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = Ostraka::spawn(&place, |command| {
        command.args(["--port", &free_port().to_string(), "--supervised", "auto"]);
        command.env("NOTIFY_SOCKET", place.path("notify"));
    });
    let told = || {
        let mut message = [0; 128];
        let length = systemd.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert!(told().contains("READY=1\n"));
    server.kill("TERM");
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn in_the_background_it_is_found_by_its_pidfile() {
    let place = Place::new("background");
    let port = free_port();
    let options = format!("--port {port} --daemonize yes --pidfile p.pid --logfile server.log");
    let parent = Ostraka::with_options(&place, &options);
    assert_eq!(parent.ended().code(), Some(0));
    wait_until("the child is ready", || {
        place
            .read("server.log")
            .contains("Ready to accept connections")
    });
    let pid = place.read("p.pid").trim().to_owned();
    let streams = fs::read_link(Path::new("/proc").join(&pid).join("fd/1")).unwrap();
    assert_eq!(streams, Path::new("/dev/null"));
    assert_eq!(ask(connect(port), "PING\r\n"), "+PONG\r\n");
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    wait_until("the child has ended", || !place.path("p.pid").exists());
    wait_until("its last line", || {
        place.read("server.log").contains("bye bye")
    });
}

#[test]
fn too_few_files_mean_fewer_clients() {
    let place = Place::new("limits");
    let port = free_port();
    let server = Ostraka::with_options(
        &place,
        &format!("--port {port} --maxclients 2000000000 --shards 1"),
    )
    .ready();
    let log = place.read("out");
    assert!(
        log.contains("You requested maxclients of 2000000000 requiring at least 2000000034 max file descriptors."),
        "{log}"
    );
    let (_, rest) = log.split_once("maxclients has been reduced to ").unwrap();
    let reduced = rest.split(' ').next().unwrap();
    let reply = ask(connect(port), "CONFIG GET maxclients\r\n");
    assert!(reply.ends_with(&format!("\r\n{reduced}\r\n")), "{reply}");
    server.kill("TERM");
    assert_eq!(server.ended().code(), Some(0));
}
