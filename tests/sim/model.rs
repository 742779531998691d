//! What the commands of the simulation must answer, in the order in which they took effect: one map per database,
//! one thread, no cleverness.

use std::collections::{BTreeMap, VecDeque};

/// A database of strings with deadlines in Unix ms.
#[derive(Default)]
pub struct Model {
    keys: BTreeMap<String, (String, Option<i64>)>,
    lists: BTreeMap<String, VecDeque<String>>,
    /// Lists that something was put into and that nobody has been served from since, in the order in which it was.
    pub ready: Vec<String>,
    /// How often each key has been changed.
    changes: BTreeMap<String, u64>,
}

impl Model {
    /// Executes a command at `now_ms`. Returns its reply in the notation of `ostraka_tests::reply`.
    pub fn execute(&mut self, args: &[String], now_ms: i64) -> Vec<String> {
        self.pass(now_ms);
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words[..] {
            ["MULTI" | "DISCARD"] | ["WATCH", ..] => ok(),
            ["PING"] => vec!["+PONG".into()],
            ["GET", key] => vec![self.bulk(key)],
            ["MGET", ref keys @ ..] => list(keys.iter().map(|key| self.bulk(key)).collect()),
            ["EXISTS", ref keys @ ..] => number(
                keys.iter()
                    .filter(|key| self.keys.contains_key(**key))
                    .count(),
            ),
            ["DBSIZE"] => number(self.keys.len() + self.lists.len()),
            ["KEYS", "*"] => {
                let names = self.keys.keys().chain(self.lists.keys());
                list(names.map(|key| format!("\"{key}\"")).collect())
            }
            ["LRANGE", key, "0", "-1"] => {
                let elements = self.lists.get(key).into_iter().flatten();
                list(elements.map(|element| format!("\"{element}\"")).collect())
            }
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
                self.note(key);
                let (value, _) = self.keys.entry(key.into()).or_default();
                value.push_str(tail);
                number(value.len())
            }
            ["GETDEL", key] => {
                let reply = self.bulk(key);
                self.remove(key);
                vec![reply]
            }
            ["DEL", ref keys @ ..] => {
                number(keys.iter().filter(|key| self.remove(key).is_some()).count())
            }
            ["RENAME", from, to] if from == to && self.keys.contains_key(from) => ok(),
            ["RENAME", from, to] => match self.remove(from) {
                Some(value) => {
                    self.note(to);
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
                let copied = value.is_some();
                if let Some(value) = value {
                    self.note(to);
                    self.keys.insert(to.into(), value);
                }
                number(usize::from(copied))
            }
            ["RPUSH", key, ref elements @ ..] => {
                elements.iter().for_each(|element| self.push(key, element));
                number(self.lists[key].len())
            }
            ["LPOP", key] => vec![
                self.pop(key)
                    .map_or("(nil)".into(), |it| format!("\"{it}\"")),
            ],
            ["LMOVE", from, to, "LEFT", "RIGHT"] => {
                vec![self.shift(from, to).unwrap_or("(nil)".into())]
            }
            ["BLPOP" | "BLMOVE", ..] => self.take(words).unwrap_or_else(|| in_vain(words[0])),
            ["FLUSHALL"] => {
                self.lists.clear();
                let keys: Vec<String> = self.keys.keys().cloned().collect();
                keys.iter().for_each(|key| drop(self.remove(key)));
                ok()
            }
            _ => panic!("the model does not know {words:?}"),
        }
    }

    fn set(&mut self, key: &str, value: &str, deadline: Option<i64>) -> Vec<String> {
        self.note(key);
        self.keys.insert(key.into(), (value.into(), deadline));
        ok()
    }

    fn push(&mut self, key: &str, element: &str) {
        self.note(key);
        self.lists
            .entry(key.into())
            .or_default()
            .push_back(element.into());
        if !self.ready.iter().any(|ready| ready == key) {
            self.ready.push(key.into());
        }
    }

    pub fn has_list(&self, key: &str) -> bool {
        self.lists.contains_key(key)
    }

    fn pop(&mut self, key: &str) -> Option<String> {
        let list = self.lists.get_mut(key)?;
        let element = list.pop_front();
        if list.is_empty() {
            self.lists.remove(key);
        }
        self.note(key);
        element
    }

    fn shift(&mut self, from: &str, to: &str) -> Option<String> {
        let element = self.pop(from)?;
        self.push(to, &element);
        Some(format!("\"{element}\""))
    }

    /// The reply to a command that would wait, if it finds something.
    pub fn take(&mut self, words: &[&str]) -> Option<Vec<String>> {
        match *words {
            ["BLPOP", ref keys @ .., _] => {
                let key = keys.iter().find(|key| self.lists.contains_key(**key))?;
                let element = self.pop(key)?;
                Some(list(vec![format!("\"{key}\""), format!("\"{element}\"")]))
            }
            ["BLMOVE", from, to, "LEFT", "RIGHT", _] => Some(vec![self.shift(from, to)?]),
            _ => panic!("the model does not know {words:?}"),
        }
    }

    fn remove(&mut self, key: &str) -> Option<(String, Option<i64>)> {
        let value = self.keys.remove(key)?;
        self.note(key);
        Some(value)
    }

    fn note(&mut self, key: &str) {
        *self.changes.entry(key.into()).or_default() += 1;
    }

    /// Time passes: what is due is gone.
    fn pass(&mut self, now_ms: i64) {
        let due = self.keys.iter();
        let due = due.filter(|(_, (_, deadline))| deadline.is_some_and(|at| at <= now_ms));
        let due: Vec<String> = due.map(|(key, _)| key.clone()).collect();
        due.iter().for_each(|key| drop(self.remove(key)));
    }

    /// How often a key has been changed by now.
    pub fn changes(&mut self, key: &str, now_ms: i64) -> u64 {
        self.pass(now_ms);
        self.changes.get(key).copied().unwrap_or(0)
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
            + self.lists.len()
    }
}

/// The reply of a command that finds nothing and cannot wait.
fn in_vain(name: &str) -> Vec<String> {
    let nil = if name == "BLPOP" {
        "(nil-array)"
    } else {
        "(nil)"
    };
    vec![nil.into()]
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
