//! Simulated clients: they send random commands in pipelines, read slowly, and sometimes vanish.

use std::collections::VecDeque;
use std::fmt;

use ostraka_server::os::entropy::Dice;
use ostraka_tests::reply::{encode, print};

use crate::net::Net;

/// One command of one client.
#[derive(Clone, Debug)]
pub struct Request {
    pub args: Vec<String>,
    pub sent_at: usize,
    /// The step at which the whole reply was in the client's hands, and what it was.
    pub reply: Option<(usize, Vec<String>)>,
}

pub struct SimClient {
    pub pipe: usize,
    /// What it still wants to send.
    plan: VecDeque<Vec<String>>,
    pub requests: Vec<Request>,
    answered: usize,
    received: Vec<u8>,
    /// Commands sent before the first reply has come.
    depth: usize,
    /// Closes its connection after so many requests.
    leaves_after: usize,
    gone: bool,
}

impl SimClient {
    pub fn new(net: &Net, dice: &mut Dice, number: usize) -> Self {
        let window = [16, 200, 5_000, 1 << 20][dice.below(4) as usize];
        let commands = 5 + dice.below(60) as usize;
        let leaves = dice.below(8) == 0;
        Self {
            pipe: net.connect(window),
            plan: plan(dice, commands, number, !leaves),
            requests: Vec::new(),
            answered: 0,
            received: Vec::new(),
            depth: 1 + dice.below(40) as usize,
            leaves_after: if leaves {
                dice.below(commands as u64) as usize
            } else {
                usize::MAX
            },
            gone: false,
        }
    }

    /// Sends, lets arrive, or reads, by chance.
    pub fn act(&mut self, net: &Net, dice: &mut Dice, step: usize) {
        if self.gone {
            return;
        }
        match dice.below(3) {
            0 => self.send(net, dice, step),
            1 => net.deliver(self.pipe, 1 + dice.below(100) as usize),
            _ => self.read(net, 1 + dice.below(300) as usize, step),
        }
    }

    fn send(&mut self, net: &Net, dice: &mut Dice, step: usize) {
        if self.requests.len() >= self.leaves_after {
            net.close(self.pipe);
            self.gone = true;
            return;
        }
        let room = self
            .depth
            .saturating_sub(self.requests.len() - self.answered);
        for _ in 0..dice.below(room as u64 + 1) {
            let Some(args) = self.plan.pop_front() else {
                return;
            };
            net.send(self.pipe, &encode(&args));
            self.requests.push(Request {
                args,
                sent_at: step,
                reply: None,
            });
        }
    }

    fn read(&mut self, net: &Net, bytes: usize, step: usize) {
        self.received.extend(net.take(self.pipe, bytes));
        while let Some((lines, len)) = print(&self.received) {
            self.received.drain(..len);
            let request = self
                .requests
                .get_mut(self.answered)
                .expect("no reply without a request");
            request.reply = Some((step, lines));
            self.answered += 1;
        }
    }

    /// Lets everything arrive and reads everything there is. `false` if there was nothing.
    pub fn hurry(&mut self, net: &Net, step: usize) -> bool {
        if self.gone || (net.flying(self.pipe) == 0 && net.answered(self.pipe) == 0) {
            return false;
        }
        net.deliver(self.pipe, usize::MAX);
        self.read(net, usize::MAX, step);
        true
    }

    /// Has sent something that is not answered.
    pub fn is_waiting(&self, _net: &Net) -> bool {
        !self.gone && self.answered < self.requests.len()
    }

    pub fn is_done(&self, net: &Net) -> bool {
        assert!(
            self.gone || !net.is_closed_by_server(self.pipe),
            "{self} was thrown out"
        );
        self.gone || (self.plan.is_empty() && self.answered == self.requests.len())
    }

    pub fn leave(&mut self, net: &Net) {
        net.close(self.pipe);
        self.gone = true;
    }
}

impl fmt::Display for SimClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self
            .requests
            .get(self.answered)
            .map(|request| request.args.join(" "));
        write!(
            f,
            "client {} at request {} ({next:?})",
            self.pipe, self.answered
        )
    }
}

/// What client `number` will say: commands, and now and then a transaction. A client that may leave does not wait for
/// keys: nobody could tell whether it was served.
fn plan(dice: &mut Dice, commands: usize, number: usize, waits: bool) -> VecDeque<Vec<String>> {
    let mut plan = VecDeque::new();
    let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
    while plan.len() < commands {
        let unique = format!("{number}.{}", plan.len());
        if dice.below(8) > 0 {
            let any = if waits { 3 } else { 2 };
            plan.push_back(match dice.below(any) {
                0 => command(dice, &unique),
                1 => words(&list_command(dice, &unique)),
                _ => words(&waiting_command(dice)),
            });
            continue;
        }
        if dice.below(2) == 0 {
            let (a, b) = (dice.below(7), dice.below(7));
            plan.push_back(words(&format!("WATCH k{a} k{b}")));
        }
        plan.extend((0..dice.below(3)).map(|_| command(dice, &unique)));
        plan.push_back(words("MULTI"));
        let queued = (0..dice.below(6)).map(|_| match dice.below(3) {
            0 => command(dice, &unique),
            1 => words(&list_command(dice, &unique)),
            _ => words(&waiting_command(dice)),
        });
        // Their replies are compared in an order of their own, or not exactly.
        plan.extend(queued.filter(|args| !matches!(args[0].as_str(), "KEYS" | "DBSIZE")));
        let end = ["EXEC", "EXEC", "EXEC", "DISCARD"][dice.below(4) as usize];
        plan.push_back(words(end));
    }
    plan
}

/// Lists have keys of their own.
fn list_command(dice: &mut Dice, unique: &str) -> String {
    let (a, n) = (dice.below(4), dice.below(10));
    match n {
        0..5 => format!("RPUSH l{a} {unique}"),
        5..7 => format!("RPUSH l{a} {unique} {unique}+"),
        7 => format!("LPOP l{a}"),
        8 => format!("LRANGE l{a} 0 -1"),
        _ => format!("LMOVE l{a} l{} LEFT RIGHT", dice.below(4)),
    }
}

fn waiting_command(dice: &mut Dice) -> String {
    let (a, b, ms) = (dice.below(4), dice.below(4), 1 + dice.below(40));
    match dice.below(3) {
        0 => format!("BLPOP l{a} 0.{ms:03}"),
        1 => format!("BLPOP l{a} l{b} 0.{ms:03}"),
        _ => format!("BLMOVE l{a} l{b} LEFT RIGHT 0.{ms:03}"),
    }
}

/// A random command over a handful of keys, so that clients meet. `unique` is a value nobody else writes.
fn command(dice: &mut Dice, unique: &str) -> Vec<String> {
    let mut key = || format!("k{}", dice.below(7));
    let (a, b, c) = (key(), key(), key());
    let words: Vec<&str> = match dice.below(100) {
        0..20 => vec!["GET", &a],
        20..36 => vec!["SET", &a, unique],
        36..48 => {
            let ttl = (1 + dice.below(60)).to_string();
            return ["SET", &a, unique, "PX", &ttl].map(String::from).to_vec();
        }
        48..58 => vec!["MSET", &a, unique, &b, unique, &c, unique],
        58..66 => vec!["MGET", &a, &b, &c],
        66..72 => vec!["APPEND", &a, unique],
        72..76 => vec!["GETDEL", &a],
        76..80 => vec!["DEL", &a, &b],
        80..84 => vec!["EXISTS", &a, &b, &c],
        84..89 => vec!["RENAME", &a, &b],
        89..93 => vec!["COPY", &a, &b, "REPLACE"],
        93..95 => vec!["DBSIZE"],
        95..97 => vec!["KEYS", "*"],
        97 => vec!["FLUSHALL"],
        _ => vec!["PING"],
    };
    words.into_iter().map(String::from).collect()
}
