//! What the commands of the simulation must answer, in the order in which they took effect: one map per database,
//! one thread, no cleverness.

use std::collections::BTreeMap;

/// A database of strings with deadlines in Unix ms.
#[derive(Default)]
pub struct Model {
    keys: BTreeMap<String, (String, Option<i64>)>,
}

impl Model {
    /// Executes a command at `now_ms`. Returns its reply in the notation of `ostraka_tests::reply`.
    pub fn execute(&mut self, args: &[String], now_ms: i64) -> Vec<String> {
        self.keys
            .retain(|_, (_, deadline)| deadline.is_none_or(|deadline| deadline > now_ms));
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words[..] {
            ["PING"] => vec!["+PONG".into()],
            ["GET", key] => vec![self.bulk(key)],
            ["MGET", ref keys @ ..] => list(keys.iter().map(|key| self.bulk(key)).collect()),
            ["EXISTS", ref keys @ ..] => number(
                keys.iter()
                    .filter(|key| self.keys.contains_key(**key))
                    .count(),
            ),
            ["DBSIZE"] => number(self.keys.len()),
            ["KEYS", "*"] => list(self.keys.keys().map(|key| format!("\"{key}\"")).collect()),
            _ => self.change(&words, now_ms),
        }
    }

    fn change(&mut self, words: &[&str], now_ms: i64) -> Vec<String> {
        match *words {
            ["SET", key, value] => self.set(key, value, None),
            ["SET", key, value, "PX", ttl] => {
                let ttl: i64 = ttl.parse().expect("a number of ms");
                self.set(key, value, Some(now_ms + ttl))
            }
            ["MSET", ref pairs @ ..] => {
                pairs
                    .chunks(2)
                    .for_each(|pair| drop(self.set(pair[0], pair[1], None)));
                ok()
            }
            ["APPEND", key, tail] => {
                let (value, _) = self.keys.entry(key.into()).or_default();
                value.push_str(tail);
                number(value.len())
            }
            ["GETDEL", key] => {
                let reply = self.bulk(key);
                self.keys.remove(key);
                vec![reply]
            }
            ["DEL", ref keys @ ..] => number(
                keys.iter()
                    .filter(|key| self.keys.remove(**key).is_some())
                    .count(),
            ),
            ["RENAME", from, to] => match self.keys.remove(from) {
                Some(value) => {
                    self.keys.insert(to.into(), value);
                    ok()
                }
                None => vec!["-ERR no such key".into()],
            },
            ["COPY", from, to, "REPLACE"] if from == to => {
                vec!["-ERR source and destination objects are the same".into()]
            }
            ["COPY", from, to, "REPLACE"] => {
                let value = self.keys.get(from).cloned();
                let copied = value.map(|value| self.keys.insert(to.into(), value));
                number(usize::from(copied.is_some()))
            }
            ["FLUSHALL"] => {
                self.keys.clear();
                ok()
            }
            _ => panic!("the model does not know {words:?}"),
        }
    }

    fn set(&mut self, key: &str, value: &str, deadline: Option<i64>) -> Vec<String> {
        self.keys.insert(key.into(), (value.into(), deadline));
        ok()
    }

    fn bulk(&self, key: &str) -> String {
        self.keys
            .get(key)
            .map_or("(nil)".into(), |(value, _)| format!("\"{value}\""))
    }

    /// Keys that are alive at `now_ms`.
    pub fn live(&self, now_ms: i64) -> usize {
        self.keys
            .values()
            .filter(|(_, deadline)| deadline.is_none_or(|deadline| deadline > now_ms))
            .count()
    }
}

fn number(n: usize) -> Vec<String> {
    vec![format!(":{n}")]
}

fn list(elements: Vec<String>) -> Vec<String> {
    std::iter::once(format!("*{}", elements.len()))
        .chain(elements)
        .collect()
}

fn ok() -> Vec<String> {
    vec!["+OK".into()]
}
