//! Money between accounts: optimistic transactions over several cells, while others add everything up.
//!
//! Each transfer watches two accounts, reads them, and moves an amount in EXEC if the one has enough. The sum never
//! changes for anybody who looks, and no account is ever overdrawn, however many transfers meet. `OSTRAKA_TRANSFERS` asks
//! for more of them at 4 shards: 10000000 take some minutes in a release build.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use ostraka_tests::client::Client;
use ostraka_tests::server::TestServer;

const ACCOUNTS: u64 = 64;
const DEPOSIT: i64 = 100;
/// EXECs, if nobody asks for more.
const FEW: u64 = 10_000;
/// Threads, and connections of each: all of them have a watch at the same time.
const THREADS: u64 = 3;
const TELLERS: usize = 16;

#[derive(Default)]
struct Totals {
    executed: AtomicU64,
    refused: AtomicU64,
    audits: AtomicU64,
    closed: AtomicBool,
}

/// One transfer under way.
struct Teller {
    client: Client,
    from: u64,
    to: u64,
    amount: i64,
    pays: bool,
}

/// Numbers that look random (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}

impl Teller {
    fn look(&mut self, dice: &mut Dice) {
        self.from = dice.below(ACCOUNTS);
        self.to = (self.from + 1 + dice.below(ACCOUNTS - 1)) % ACCOUNTS;
        self.amount = 1 + dice.below(60) as i64;
        let (from, to) = (self.from, self.to);
        let request =
            format!("WATCH account:{from} account:{to}\r\nMGET account:{from} account:{to}\r\n");
        self.client.send(request.as_bytes());
    }

    fn transfer(&mut self) {
        let watching = self.client.reply().expect("a reply");
        assert_eq!(watching, ["+OK"]);
        let balances = self.client.reply().expect("a reply");
        let balance = amount(&balances[1]);
        assert!(balance >= 0 && amount(&balances[2]) >= 0, "overdrawn");
        self.pays = balance >= self.amount;
        let (from, to, amount) = (self.from, self.to, self.amount);
        let request = match self.pays {
            true => format!(
                "MULTI\r\nDECRBY account:{from} {amount}\r\nINCRBY account:{to} {amount}\r\nEXEC\r\n"
            ),
            false => "UNWATCH\r\n".to_owned(),
        };
        self.client.send(request.as_bytes());
    }

    fn settle(&mut self, totals: &Totals) {
        let replies = if self.pays { 4 } else { 1 };
        let mut last = Vec::new();
        for _ in 0..replies {
            last = self.client.reply().expect("a reply");
        }
        match &last[0][..] {
            "+OK" => {}
            "(nil-array)" => _ = totals.refused.fetch_add(1, Relaxed),
            "*2" => {
                let left: i64 = last[1][1..].parse().expect("an integer");
                assert!(left >= 0, "overdrawn by a transfer that saw enough");
                totals.executed.fetch_add(1, Relaxed);
            }
            other => panic!("EXEC answered {other}"),
        }
    }
}

fn amount(bulk: &str) -> i64 {
    bulk.trim_matches('"').parse().expect("an amount")
}

fn work(address: SocketAddr, seed: u64, transfers: u64, totals: &Totals) {
    let mut dice = Dice(seed);
    let mut tellers: Vec<Teller> = (0..TELLERS)
        .map(|_| Teller {
            client: Client::connect(address),
            from: 0,
            to: 0,
            amount: 0,
            pays: false,
        })
        .collect();
    while totals.executed.load(Relaxed) + totals.refused.load(Relaxed) < transfers {
        tellers.iter_mut().for_each(|teller| teller.look(&mut dice));
        tellers.iter_mut().for_each(Teller::transfer);
        tellers.iter_mut().for_each(|teller| teller.settle(totals));
    }
}

/// Adds all accounts up, by MGET and in transactions, until all is done.
fn audit(address: SocketAddr, totals: &Totals) {
    let mut client = Client::connect(address);
    let accounts: Vec<String> = (0..ACCOUNTS).map(|n| format!("account:{n}")).collect();
    let all = format!("MGET {}", accounts.join(" "));
    let halves = accounts.chunks(ACCOUNTS as usize / 2);
    let halves: Vec<String> = halves
        .map(|half| format!("MGET {}", half.join(" ")))
        .collect();
    while !totals.closed.load(Relaxed) {
        let at_once = client.say(&all);
        for half in ["MULTI", &halves[0], &halves[1]] {
            client.say(half);
        }
        let in_two = client.say("EXEC");
        for reply in [at_once, in_two] {
            let balances = reply.split(' ').filter(|word| word.starts_with('"'));
            let balances: Vec<i64> = balances.map(amount).collect();
            assert_eq!(balances.len(), ACCOUNTS as usize);
            assert_eq!(balances.iter().sum::<i64>(), DEPOSIT * ACCOUNTS as i64);
            totals.audits.fetch_add(1, Relaxed);
        }
    }
}

#[test]
fn transfers_keep_the_sum() {
    let many = std::env::var("OSTRAKA_TRANSFERS").map_or(FEW, |number| {
        number.parse().expect("OSTRAKA_TRANSFERS is a number")
    });
    for (shards, wanted) in [(1, FEW), (2, FEW), (4, many)] {
        let server = TestServer::start(shards, "");
        let mut client = server.client();
        for account in 0..ACCOUNTS {
            client.say(&format!("SET account:{account} {DEPOSIT}"));
        }
        let (address, totals) = (server.address, Totals::default());
        thread::scope(|scope| {
            let auditor = scope.spawn(|| audit(address, &totals));
            let workers: Vec<_> = (0..THREADS)
                .map(|seed| {
                    scope.spawn({
                        let totals = &totals;
                        move || work(address, seed, wanted, totals)
                    })
                })
                .collect();
            let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            totals.closed.store(true, Relaxed);
            auditor.join().expect("the sums were right");
            assert!(
                ended.iter().all(Result::is_ok),
                "a teller saw something wrong"
            );
        });
        let [executed, refused, audits] =
            [&totals.executed, &totals.refused, &totals.audits].map(|count| count.load(Relaxed));
        println!("{shards} shards: {executed} transfers, {refused} refused, {audits} audits");
        assert!(executed + refused >= wanted && executed > refused / 8 && audits > 0);
    }
}
