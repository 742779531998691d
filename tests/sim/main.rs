//! A deterministic simulation: the server's own loops, cells, connections and commands in one thread, from one
//! seed, with a simulated clock and network.
//!
//! What is checked of every seed: the order in which commands took effect (a MONITOR connection tells it) explains
//! every reply that any client got; it keeps each connection's order and real time's; nobody waits for a reply
//! while everybody sleeps; keys are gone within milliseconds of their deadline; nothing is left behind.
//!
//! `SIM_SEEDS=n` runs n seeds, `SIM_SEED=s` replays one.

mod clients;
mod explain;
mod model;
mod net;
mod world;

use ostraka_datatypes::resp::split_args;
use ostraka_tests::reply::{encode, print};

use clients::SimClient;
use explain::explain;
use model::Model;
use net::Net;
use world::World;

/// How late an expired key may be removed when the loops have nothing else to do, in simulated ms.
const LAG_MS: i64 = 3;

#[test]
fn every_seed_keeps_the_promises() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(1000),
    };
    let mut seen = Coverage::default();
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| simulate(seed));
        match result {
            Ok(coverage) => seen.add(&coverage),
            Err(_) => panic!("seed {seed} fails; replay it with SIM_SEED={seed}"),
        }
    }
    if seeds.count() >= 100 {
        assert!(
            seen.parked > 0 && seen.lent > 0 && seen.drained > 0,
            "not everything was exercised: {seen:?}"
        );
    }
}

/// What happened at cells.
#[derive(Debug, Default)]
struct Coverage {
    parked: u64,
    lent: u64,
    drained: u64,
}

impl Coverage {
    fn add(&mut self, other: &Self) {
        self.parked += other.parked;
        self.lent += other.lent;
        self.drained += other.drained;
    }
}

fn simulate(seed: u64) -> Coverage {
    let mut world = World::new(seed);
    let mut witness = Witness::new(&mut world);
    let clients = 2 + world.dice.below(6) as usize;
    for number in 0..clients {
        let client = SimClient::new(&world.net, &mut world.dice, number);
        world.clients.push(client);
    }
    world.run();
    let order = witness.testimony(&world.net);
    let mut model = explain(&world.clients, &order);
    expire(&mut world, &mut model);
    leave(&mut world, &witness);
    let counts = world.server.cells.counts();
    Coverage {
        parked: counts.parked,
        lent: counts.lent,
        drained: counts.drained,
    }
}

/// Lets all deadlines pass, and looks every millisecond whether what is due is gone.
fn expire(world: &mut World, model: &mut Model) {
    world.pass(80, |world| {
        let (entries, now) = (world.entries(), world.now_ms());
        let (most, least) = (model.live(now - LAG_MS), model.live(now));
        assert!(
            (least..=most).contains(&entries),
            "{entries} entries at {now}, expected {least} to {most}"
        );
    });
}

/// Closes all connections; nothing may stay behind.
fn leave(world: &mut World, witness: &Witness) {
    world.net.close(witness.pipe);
    let net = world.net.clone();
    world
        .clients
        .iter_mut()
        .for_each(|client| client.leave(&net));
    world.settle();
    assert_eq!(
        (world.connections(), world.server.clients.len()),
        (0, 0),
        "connections left behind"
    );
}

/// A connection that runs MONITOR: it sees every command as it takes effect.
struct Witness {
    pipe: usize,
}

/// One line of MONITOR.
struct Testimony {
    address: String,
    args: Vec<String>,
    now_ms: i64,
}

impl Witness {
    fn new(world: &mut World) -> Self {
        let pipe = world.net.connect(usize::MAX);
        world.settle();
        world.net.send(pipe, &encode(&["MONITOR"]));
        world.net.deliver(pipe, usize::MAX);
        world.settle();
        assert_eq!(world.net.take(pipe, 5), b"+OK\r\n");
        Self { pipe }
    }

    /// Everything it saw.
    fn testimony(&mut self, net: &Net) -> Vec<Testimony> {
        let bytes = net.take(self.pipe, usize::MAX);
        let mut lines = Vec::new();
        let mut at = 0;
        while let Some((line, len)) = print(&bytes[at..]) {
            lines.push(Testimony::parse(&line[0]));
            at += len;
        }
        assert_eq!(at, bytes.len(), "half a line of MONITOR");
        lines
    }
}

impl Testimony {
    /// `+1767225600.123456 [0 10.0.0.1:10001] "SET" "k" "v"`
    fn parse(line: &str) -> Self {
        let (head, command) = line.split_once("] ").expect("a line of MONITOR");
        let (time, client) = head[1..].split_once(" [").expect("a line of MONITOR");
        let (seconds, micros) = time.split_once('.').expect("a time");
        let mut command = command.as_bytes().to_vec();
        let mut spans = Vec::new();
        split_args(&mut command, &mut spans).expect("balanced quotes");
        let number = |text: &str| text.parse::<i64>().expect("a number");
        Self {
            address: client
                .split_once(' ')
                .expect("a database and an address")
                .1
                .to_owned(),
            args: spans
                .iter()
                .map(|span| String::from_utf8_lossy(span.of(&command)).into_owned())
                .collect(),
            now_ms: number(seconds) * 1000 + number(micros) / 1000,
        }
    }
}
