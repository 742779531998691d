//! The simulated world: loops, clients, clock, and a scheduler that decides from one seed who goes on next.
//!
//! A loop sleeps between its rest and its turn, and is let out of it only by a reason that would end `epoll_wait`:
//! an edge, a wake-up, its own timeout. Time passes with every reading of the clock, and leaps to the next timeout
//! when nobody has anything to do. If somebody still waits for a reply then, a wake-up or an edge was lost.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ostraka_server::config::{ConfigStore, Machine, load};
use ostraka_server::duties;
use ostraka_server::executor::Executor;
use ostraka_server::net::event_loop::EventLoop;
use ostraka_server::os::clock::{Clock, SimulatedTime};
use ostraka_server::os::entropy::Dice;
use ostraka_server::server::{Identity, Parts, Server, Shard};
use ostraka_server::shards::{CellSet, Held};
use ostraka_server::task::Errand;

use crate::clients::SimClient;
use crate::net::Net;

/// Unix time at which every simulation begins: 2026-01-01.
const DAWN_NS: u64 = 1_767_225_600_000_000_000;

/// Steps after which a run is taken to go in circles.
const STEPS: usize = 400_000;

pub struct World {
    pub dice: Dice,
    pub net: Net,
    pub server: &'static Server,
    time: Arc<SimulatedTime>,
    loops: Vec<Sleeper>,
    /// Holds cells between the turns of loops, as a thread would that was preempted.
    phantom: Executor,
    grip: Option<Held<'static, Shard, Errand>>,
    pub clients: Vec<SimClient>,
    pub steps: usize,
}

/// A loop, and until when it sleeps.
struct Sleeper {
    event_loop: EventLoop,
    until_ns: u64,
}

impl World {
    /// A server of 1 to 4 shards, without clients yet.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let shards = 1 + dice.below(4) as usize;
        let time = Arc::new(SimulatedTime::default());
        time.unix_at_start_ns.store(DAWN_NS, Relaxed);
        time.step_ns.store(dice.below(20_000), Relaxed);
        let net = Net::new(shards);
        let lines = format!("port 0\nshards {shards}\ntcp-keepalive 0\n");
        let machine = Machine {
            cores: 2,
            directory: b"/tmp".to_vec(),
        };
        let startup =
            load::load_text(lines.as_bytes(), None, &machine).expect("a valid configuration");
        let server = Server::new(Parts {
            config: ConfigStore::new(&startup),
            identity: Identity {
                run_id: "simulation".into(),
                replication_id: "1".repeat(40),
                started_ms: (DAWN_NS / 1_000_000) as i64,
                executable: String::new(),
                config_file: None,
            },
            seed: dice.roll(),
            wakers: (0..shards).map(|home| net.waker(home)).collect(),
            spin: 0,
        });
        let clock = || Clock::simulated(Arc::clone(&time));
        let loops = (0..shards)
            .map(|home| {
                let exec = Executor::new(home, server, clock(), dice.roll());
                Sleeper {
                    event_loop: EventLoop::new(net.platform(home), exec),
                    until_ns: 0,
                }
            })
            .collect();
        let phantom = Executor::new(0, server, clock(), dice.roll());
        Self {
            dice,
            net,
            server,
            time,
            loops,
            phantom,
            grip: None,
            clients: Vec::new(),
            steps: 0,
        }
    }

    pub fn now_ms(&self) -> i64 {
        ((DAWN_NS + self.time.monotonic_ns.load(Relaxed)) / 1_000_000) as i64
    }

    /// Lets chance decide until every client has all its replies or is gone.
    pub fn run(&mut self) {
        while self.clients.iter().any(|client| !client.is_done(&self.net)) {
            self.step();
        }
        self.let_go();
        self.settle();
    }

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps < STEPS, "nobody gets anywhere");
        match self.dice.below(10) {
            0..4 => self.some_client_acts(),
            4 => self.grab_or_let_go(),
            _ => {
                if self.some_loop_turns() || self.some_client_hurries() {
                    return;
                }
                if self.grip.is_some() {
                    return self.let_go();
                }
                self.leap();
            }
        }
    }

    fn some_client_acts(&mut self) {
        let which = self.dice.below(self.clients.len() as u64) as usize;
        self.clients[which].act(&self.net, &mut self.dice, self.steps);
    }

    /// When nothing else can happen, bytes under way arrive and replies are read.
    fn some_client_hurries(&mut self) -> bool {
        let (net, steps) = (&self.net, self.steps);
        self.clients
            .iter_mut()
            .any(|client| client.hurry(net, steps))
    }

    fn grab_or_let_go(&mut self) {
        if self.grip.is_some() {
            return self.let_go();
        }
        let cells = self.server.router.cells() as u64;
        let set = (0..=self.dice.below(3))
            .map(|_| self.dice.below(cells) as usize)
            .collect::<CellSet>();
        self.grip = self.server.cells.try_take(set, &mut self.phantom);
    }

    /// The preempted thread goes on: it executes what waits for its cells, and puts them down.
    fn let_go(&mut self) {
        if let Some(grip) = self.grip.take() {
            self.phantom.begin_turn();
            grip.release(&mut self.phantom);
            self.phantom.wake();
        }
    }

    /// Gives one loop that has a reason to wake up its turn.
    fn some_loop_turns(&mut self) -> bool {
        let now = self.time.monotonic_ns.load(Relaxed);
        let awake: Vec<usize> = (0..self.loops.len())
            .filter(|&home| self.loops[home].until_ns <= now || self.net.calls(home))
            .collect();
        if awake.is_empty() {
            return false;
        }
        let home = awake[self.dice.below(awake.len() as u64) as usize];
        let sleeper = &mut self.loops[home];
        sleeper.event_loop.turn(Duration::ZERO);
        let rest = sleeper.event_loop.rest();
        sleeper.until_ns = self.time.monotonic_ns.load(Relaxed) + rest.as_nanos() as u64;
        true
    }

    /// Nobody has anything to do: time goes on to the next timeout. Nobody may be waiting for a reply, but for those
    /// that wait for a key until a certain time.
    fn leap(&mut self) {
        let records = self.server.clients.all();
        let parked = records.iter().filter(|record| record.parked().is_some());
        let waiting = |client: &&SimClient| client.is_waiting(&self.net);
        if let Some(client) = self.clients.iter().filter(waiting).nth(parked.count()) {
            panic!("everybody sleeps, and {client} or another waits for a reply");
        }
        let next = self
            .loops
            .iter()
            .map(|sleeper| sleeper.until_ns)
            .min()
            .expect("there is a loop");
        self.time.monotonic_ns.fetch_max(next, Relaxed);
    }

    /// Lets everything that is under way come to an end.
    pub fn settle(&mut self) {
        let until = self.steps + STEPS;
        // The phantom answers for deadlines that it set, as every executing loop does.
        self.phantom.begin_turn();
        duties::run(&mut self.phantom, &mut u64::MAX.clone());
        while self.some_loop_turns() {
            self.steps += 1;
            assert!(self.steps < until, "the loops never rest");
        }
    }

    /// Moves the clock on by `ms`, a millisecond at a time, and lets the loops do what is due.
    pub fn pass(&mut self, ms: u64, mut every: impl FnMut(&mut Self)) {
        for _ in 0..ms {
            self.time.monotonic_ns.fetch_add(1_000_000, Relaxed);
            self.settle();
            every(self);
        }
    }

    /// Entries in all cells, expired ones that nobody removed yet included.
    pub fn entries(&mut self) -> usize {
        let mut held = self
            .server
            .cells
            .try_take(self.server.cells.all(), &mut self.phantom)
            .expect("nobody holds a cell");
        let entries = held
            .access()
            .iter_mut()
            .map(|(_, shard)| shard.db(0).len())
            .sum();
        held.release(&mut self.phantom);
        entries
    }

    pub fn connections(&self) -> usize {
        self.loops
            .iter()
            .map(|sleeper| sleeper.event_loop.connections())
            .sum()
    }
}
