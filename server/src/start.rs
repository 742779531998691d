//! From settings to running loops.
//!
//! Loops are made before any thread starts, so that each of them can be reached by all others from the first
//! turn. Loop 0 has the listeners; a connection goes to the loops in turn.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::config::{ConfigStore, Settings};
use crate::executor::Executor;
use crate::listening;
use crate::net::event_loop::EventLoop;
use crate::os::allocator::ThreadBytes;
use crate::os::clock::Clock;
use crate::os::platform::{Listener, Platform, Waker};
use crate::os::reactor::{self, Reactor};
use crate::os::{entropy, files, threads};
use crate::server::{Identity, Parts, Server};

/// Pauses that a thread waits for a busy cell before it leaves its task in the inbox: about a microsecond. A batch of
/// commands holds its cells for several; to wait for that costs more than leaving the batch to the holder.
const SPIN: u32 = 30;

/// A server that runs in this process.
pub struct Running {
    pub server: &'static Server,
    /// Where it listens for TCP connections, in the order bound.
    pub addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

/// Makes `shards` loops, the first of them with `listeners`, and starts a thread for each.
pub fn launch(
    config: ConfigStore,
    identity: Identity,
    listeners: Vec<Listener>,
) -> io::Result<Running> {
    let addresses = listeners.iter().filter_map(Listener::tcp_address).collect();
    let (mut reactors, wakers) = reactors(config.settings().shards as usize)?;
    let listening = listening::clones(&listeners)?;
    reactors[0].listen(listeners)?;
    let server = Server::new(Parts {
        config,
        identity,
        seed: entropy::seed(),
        spin: if wakers.len() <= threads::cores() {
            SPIN
        } else {
            0
        },
        wakers,
    });
    server.lazy_free.open();
    server.listen_on(listening);
    let mut handles = vec![threads::spawn("lazy-free", || free(server))?];
    let (begins, begun) = mpsc::channel();
    for (home, reactor) in reactors.into_iter().enumerate() {
        let begins = begins.clone();
        handles.push(threads::spawn(&format!("loop-{home}"), move || {
            let exec = Executor::new(home, server, Clock::real(), entropy::seed());
            let event_loop = EventLoop::new(Box::new(reactor), exec);
            // Nobody listens if the server could not be started after all.
            let _heard = begins.send(());
            event_loop.run();
        })?);
    }
    // From here on the memory in use is what all loops use.
    for _ in &server.loops {
        begun.recv().map_err(io::Error::other)?;
    }
    Ok(Running {
        server,
        addresses,
        threads: handles,
    })
}

impl Running {
    /// Waits until every loop has ended, and closes the listeners.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                crate::log::warning(format_args!("a loop ended in a panic"));
            }
        }
        self.server.listen_on(Vec::new());
    }

    /// Ends the server and gives its data back: for a process that goes on.
    pub fn stop(self) {
        let server = self.server;
        server.stop();
        self.join();
        for handle in &server.loops {
            handle.mailbox.take(&mut Vec::new());
        }
        let mut exec = Executor::new(0, server, Clock::real(), 0);
        // A cell that was lent to a task which will never run is not to be had, and its data stays.
        if let Some(mut held) = server.cells.try_take(server.cells.all(), &mut exec) {
            held.access()
                .iter_mut()
                .for_each(|(_, shard)| shard.clear());
            held.release(&mut exec);
        }
    }
}

/// The life of the thread that frees.
fn free(server: &Server) {
    let bytes = ThreadBytes::new();
    let share = server.loops.len();
    server.lazy_free.run(|| server.heap.publish(share, &bytes));
}

/// An event queue for each loop, and what wakes it, by the loops' numbers.
type Reactors = (Vec<Reactor>, Vec<Box<dyn Waker>>);

fn reactors(loops: usize) -> io::Result<Reactors> {
    let mut reactors = Vec::with_capacity(loops);
    let mut wakers = Vec::with_capacity(loops);
    for _ in 0..loops {
        let (reactor, waker) = Reactor::new()?;
        reactors.push(reactor);
        wakers.push(waker);
    }
    Ok((reactors, wakers))
}

/// Listeners for every `bind` address, and for `unixsocket`. An address that is marked optional (`-`) may be missing
/// on this machine. What could not be bound is logged, and the error says which kind it was.
pub fn bind(settings: &Settings) -> Result<Vec<Listener>, String> {
    let port = settings.port;
    let mut listeners = Vec::new();
    let addresses = settings.bind.iter().filter(|_| port != 0);
    for address in addresses {
        match bind_address(address.host(), port, settings.tcp_backlog as i32) {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.is_optional() && is_absent(&error) => {}
            Err(error) => {
                crate::log::warning(format_args!(
                    "Warning: Could not create server TCP listening socket {}:{port}: bind: {}",
                    address.text().trim_start_matches('-'),
                    files::reason(&error)
                ));
                return Err(format!("Failed listening on port {port} (TCP), aborting."));
            }
        }
    }
    if port != 0 && listeners.is_empty() && !settings.bind.is_empty() {
        return Err(format!("Failed listening on port {port} (TCP), aborting."));
    }
    if let Some(path) = &settings.unixsocket {
        let bound = reactor::bind_unix(
            &settings.dir.join(path),
            settings.unixsocketperm,
            settings.tcp_backlog as i32,
        );
        let failed = |error| {
            format!(
                "Failed opening Unix socket: bind: {}",
                files::reason(&error)
            )
        };
        listeners.push(bound.map_err(failed)?);
    }
    if listeners.is_empty() {
        return Err("Configured to not listen anywhere, exiting.".to_owned());
    }
    Ok(listeners)
}

fn bind_address(host: &str, port: u16, backlog: i32) -> io::Result<Listener> {
    let address = (host, port).to_socket_addrs()?.next();
    reactor::bind_tcp(address.ok_or(io::ErrorKind::AddrNotAvailable)?, backlog)
}

/// The address or its family does not exist on this machine.
pub fn is_absent(error: &io::Error) -> bool {
    let absent = [
        libc::EADDRNOTAVAIL,
        libc::EAFNOSUPPORT,
        libc::EPROTONOSUPPORT,
        libc::ENOPROTOOPT,
        libc::ESOCKTNOSUPPORT,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| absent.contains(&code))
}
