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
        let arg = |i: usize| args[i].as_str();
        match args[0].as_str() {
            "GET" => vec![self.bulk(arg(1))],
            "SET" if args.len() == 5 => {
                let deadline = now_ms + arg(4).parse::<i64>().expect("a number of ms");
                self.keys
                    .insert(arg(1).into(), (arg(2).into(), Some(deadline)));
                ok()
            }
            "SET" => {
                self.keys.insert(arg(1).into(), (arg(2).into(), None));
                ok()
            }
            "MSET" => {
                for pair in args[1..].chunks(2) {
                    self.keys.insert(pair[0].clone(), (pair[1].clone(), None));
                }
                ok()
            }
            "MGET" => {
                let header = format!("*{}", args.len() - 1);
                std::iter::once(header)
                    .chain(args[1..].iter().map(|key| self.bulk(key)))
                    .collect()
            }
            "APPEND" => {
                let (value, _) = self.keys.entry(arg(1).into()).or_default();
                value.push_str(arg(2));
                vec![format!(":{}", value.len())]
            }
            "GETDEL" => {
                let reply = self.bulk(arg(1));
                self.keys.remove(arg(1));
                vec![reply]
            }
            "DEL" => {
                let gone = args[1..]
                    .iter()
                    .filter(|key| self.keys.remove(*key).is_some())
                    .count();
                vec![format!(":{gone}")]
            }
            "EXISTS" => {
                let there = args[1..]
                    .iter()
                    .filter(|key| self.keys.contains_key(*key))
                    .count();
                vec![format!(":{there}")]
            }
            "RENAME" => match self.keys.remove(arg(1)) {
                Some(value) => {
                    self.keys.insert(arg(2).into(), value);
                    ok()
                }
                None => vec!["-ERR no such key".into()],
            },
            "COPY" => match self.keys.get(arg(1)).cloned() {
                Some(value) if arg(1) != arg(2) => {
                    self.keys.insert(arg(2).into(), value);
                    vec![":1".into()]
                }
                Some(_) => vec!["-ERR source and destination objects are the same".into()],
                None if arg(1) == arg(2) => {
                    vec!["-ERR source and destination objects are the same".into()]
                }
                None => vec![":0".into()],
            },
            "DBSIZE" => vec![format!(":{}", self.keys.len())],
            "KEYS" => {
                let header = format!("*{}", self.keys.len());
                std::iter::once(header)
                    .chain(self.keys.keys().map(|key| format!("\"{key}\"")))
                    .collect()
            }
            "FLUSHALL" => {
                self.keys.clear();
                ok()
            }
            "PING" => vec!["+PONG".into()],
            other => panic!("the model does not know {other}"),
        }
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

fn ok() -> Vec<String> {
    vec!["+OK".into()]
}
