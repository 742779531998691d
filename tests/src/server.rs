//! Servers for tests: ours inside this process, a stock one beside it.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostraka_server::config::{ConfigStore, Machine, load};
use ostraka_server::os::{reactor, threads};
use ostraka_server::server::Identity;
use ostraka_server::start::{self, Running};

use crate::client::Client;

/// Our server, listening on a free port of the loopback interface until it is dropped.
pub struct TestServer {
    running: Option<Running>,
    pub address: SocketAddr,
}

impl TestServer {
    /// A server with `shards` loops and further lines of configuration.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(shards: usize, lines: &str) -> Self {
        let config = format!("port 0\nshards {shards}\nenable-debug-command yes\n{lines}\n");
        let machine = Machine {
            cores: 2,
            directory: b"/tmp".to_vec(),
        };
        let startup = load::load_text(config.as_bytes(), None, &machine)
            .unwrap_or_else(|error| panic!("{error}"));
        let identity = Identity {
            run_id: "0123456789012345678901234567890123456789".into(),
            replication_id: "9876543210987654321098765432109876543210".into(),
            started_ms: 0,
            executable: String::new(),
            config_file: None,
        };
        let listener =
            reactor::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), 128).expect("a free port");
        let running = start::launch(ConfigStore::new(&startup), identity, vec![listener])
            .expect("the server starts");
        let address = running.addresses[0];
        Self {
            running: Some(running),
            address,
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A client that waits for a key; `asker` is any other.
    pub fn waiting(&self, asker: &mut Client, words: &str) -> Client {
        let before = asker.info("blocked_clients");
        let mut client = self.client();
        client.tell(words);
        wait_until("it waits", || asker.info("blocked_clients") == before + 1);
        client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// Runs a test with 1, 2 and 4 shards; `lines` are further lines of configuration.
pub fn at_all_shards(lines: &str, test: impl Fn(&TestServer)) {
    for shards in [1, 2, 4] {
        test(&TestServer::start(shards, lines));
    }
}

/// Runs clients beside the test's own.
///
/// # Panics
/// If there is no thread to be had.
pub fn in_background(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    threads::spawn("client", run).expect("a thread")
}

/// A stock redis-server on a free port; ended by its pid when dropped.
pub struct Oracle {
    process: Child,
    pub address: SocketAddr,
}

impl Oracle {
    /// `None` if there is no redis-server on this machine.
    pub fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
                "--bind",
                "127.0.0.1",
            ])
            .args(["--enable-debug-command", "yes", "--dir", "/tmp"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let oracle = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        wait_until("redis-server listens", || {
            std::net::TcpStream::connect(oracle.address).is_ok()
        });
        Some(oracle)
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().expect("a killed child ends");
        }
    }
}

/// Waits for a condition, looking at it over and over.
///
/// # Panics
/// If it does not hold within half a minute.
#[expect(clippy::disallowed_methods, reason = "a test waits in real time")]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "waited in vain until {what}"
        );
        std::thread::yield_now();
    }
}
