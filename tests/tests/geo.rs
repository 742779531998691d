//! Searches over an index that is large enough to be searched in slices, against a stock redis-server.

use ostraka_tests::client::Client;
use ostraka_tests::server::{Oracle, TestServer};

const POINTS: u64 = 20_000;

/// Numbers between 0 and 1, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.roll() * (high - low)
    }

    /// A place that is more often than not in the middle of Europe.
    fn place(&mut self) -> String {
        let (longitude, latitude) = if self.roll() < 0.8 {
            (self.between(5.0, 20.0), self.between(42.0, 55.0))
        } else {
            (self.between(-180.0, 180.0), self.between(-85.0, 85.0))
        };
        format!("{longitude:.6} {latitude:.6}")
    }
}

#[test]
fn large_indexes_are_searched_as_redis_does() {
    let Some(oracle) = Oracle::start() else {
        return;
    };
    let server = TestServer::start(2, "");
    let mut both = [oracle.address, server.address].map(Client::connect);
    let mut dice = Dice(7);
    for first in (0..POINTS).step_by(1000) {
        let members = (first..first + 1000).map(|nth| format!(" {} m{nth}", dice.place()));
        agree(
            &mut both,
            &format!("GEOADD index{}", members.collect::<String>()),
        );
    }
    for nth in 0..120 {
        let place = dice.place();
        let size = 10_f64.powf(dice.between(0.0, 7.2));
        let shape = if nth % 2 == 0 {
            format!("BYRADIUS {size:.0} m")
        } else {
            format!("BYBOX {size:.0} {:.0} m", size * dice.between(0.1, 3.0))
        };
        let options = [
            "",
            "ASC WITHDIST",
            "DESC",
            "COUNT 10",
            "COUNT 700 DESC WITHCOORD",
            "WITHHASH",
            "COUNT 50 ANY",
        ];
        let options = options[nth % options.len()];
        agree(
            &mut both,
            &format!("GEOSEARCH index FROMLONLAT {place} {shape} {options}"),
        );
        if nth % 5 == 0 {
            agree(
                &mut both,
                &format!("GEOSEARCHSTORE found index FROMLONLAT {place} {shape}"),
            );
            agree(&mut both, "ZRANGE found 0 -1 WITHSCORES");
        }
    }
}

fn agree(both: &mut [Client; 2], words: &str) {
    let [theirs, ours] = both.each_mut().map(|client| client.say(words));
    assert!(
        theirs == ours,
        "{}",
        words.chars().take(200).collect::<String>()
    );
}
