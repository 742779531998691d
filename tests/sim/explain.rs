//! Replays the commands in the order that the witness saw, and compares every reply.
//!
//! Of a transaction the witness sees MULTI when it is said; what was queued, and EXEC behind it, when it is executed:
//! as one, at the moment of the first of them, however late the witness hears of the others. Of one that is given up it
//! sees MULTI and EXEC alone.

use std::collections::HashMap;

use crate::Testimony;
use crate::clients::{Request, SimClient};
use crate::model::Model;
use crate::net::address;

/// Who waits for a key, in the order in which they came.
struct Waiter<'a> {
    client: usize,
    request: &'a Request,
    deadline_ms: i64,
}

/// How far one client's requests are explained.
struct Story<'a> {
    requests: &'a [Request],
    next: usize,
    /// What came of the queued commands, since MULTI.
    results: Option<Vec<Vec<String>>>,
    /// When the first of them was executed.
    executed_ms: i64,
    /// Watched keys, and how often each had been changed by then.
    watched: Vec<(String, u64)>,
}

/// # Panics
/// At the first reply that the order does not explain.
pub fn explain(clients: &[SimClient], order: &[Testimony]) -> Model {
    let mut model = Model::default();
    let mut stories: Vec<Story<'_>> = clients.iter().map(Story::new).collect();
    let by_address: HashMap<String, usize> = clients
        .iter()
        .enumerate()
        .map(|(i, client)| (address(client.pipe), i))
        .collect();
    let mut latest_sent = 0;
    let mut waiters: Vec<Waiter<'_>> = Vec::new();
    let mut transaction = None;
    for testimony in order {
        let client = by_address[&testimony.address];
        assert!(
            transaction.is_none_or(|busy| busy == client),
            "a transaction was interrupted"
        );
        give_up(
            &mut waiters,
            |waiter| waiter.client == client,
            testimony.now_ms,
        );
        let story = &mut stories[client];
        let effect = story.go_on(&mut model, testimony);
        transaction = match effect {
            Effect::Queued => Some(client),
            Effect::Replied(request, expected) => {
                latest_sent = latest_sent.max(request.sent_at);
                if let Some((at, _)) = &request.reply {
                    assert!(
                        *at >= latest_sent,
                        "{:?} took effect after a later command",
                        request.args
                    );
                }
                compare(request, &expected);
                None
            }
            Effect::Waits(request) => {
                latest_sent = latest_sent.max(request.sent_at);
                let timeout: f64 = request
                    .args
                    .last()
                    .expect("a timeout")
                    .parse()
                    .expect("a number");
                waiters.push(Waiter {
                    client,
                    request,
                    deadline_ms: testimony.now_ms + (timeout * 1000.0).round() as i64,
                });
                None
            }
        };
        if transaction.is_none() {
            serve(&mut model, &mut waiters, testimony.now_ms);
        }
    }
    give_up(&mut waiters, |_| true, i64::MAX);
    stories.iter().for_each(Story::end);
    model
}

enum Effect<'a> {
    /// A command of a transaction that has been executed; its reply will be EXEC's.
    Queued,
    Replied(&'a Request, Vec<String>),
    /// It found nothing.
    Waits(&'a Request),
}

/// Serves whoever waits for what is ready, first come first served. Whose time is up may be told so instead.
fn serve(model: &mut Model, waiters: &mut Vec<Waiter<'_>>, now_ms: i64) {
    while !model.ready.is_empty() {
        let key = model.ready.remove(0);
        let mut at = 0;
        while at < waiters.len() && model.has_list(&key) {
            let waiter = &waiters[at];
            let request = waiter.request;
            let words: Vec<&str> = request.args.iter().map(String::as_str).collect();
            let wanted = match words[0] {
                "BLPOP" => &words[1..words.len() - 1],
                _ => &words[1..2],
            };
            let late = now_ms >= waiter.deadline_ms && has_waited_in_vain(request);
            if late || !wanted.contains(&key.as_str()) {
                at += 1;
                continue;
            }
            match model.take(&words) {
                Some(expected) => {
                    compare(request, &expected);
                    waiters.remove(at);
                }
                None => at += 1,
            }
        }
    }
}

fn has_waited_in_vain(request: &Request) -> bool {
    let reply = request.reply.as_ref();
    reply.is_some_and(|(_, reply)| *reply == ["(nil-array)"])
}

/// These have waited in vain: their time was up.
fn give_up(waiters: &mut Vec<Waiter<'_>>, whose: impl Fn(&Waiter<'_>) -> bool, now_ms: i64) {
    waiters.retain(|waiter| {
        if !whose(waiter) {
            return true;
        }
        let request = waiter.request;
        assert!(
            has_waited_in_vain(request),
            "{:?}: {:?}, but it found nothing",
            request.args,
            request.reply
        );
        assert!(
            now_ms >= waiter.deadline_ms,
            "{:?} gave up too early",
            request.args
        );
        false
    });
}

impl<'a> Story<'a> {
    fn new(client: &'a SimClient) -> Self {
        Self {
            requests: &client.requests,
            next: 0,
            results: None,
            executed_ms: 0,
            watched: Vec::new(),
        }
    }

    fn go_on(&mut self, model: &mut Model, testimony: &Testimony) -> Effect<'a> {
        let now_ms = testimony.now_ms;
        let name = testimony.args[0].as_str();
        let ends = matches!(name, "EXEC" | "DISCARD");
        let mut passed_over = 0;
        while ends && self.requests[self.next].args[0] != name {
            compare(&self.requests[self.next], &["+QUEUED".into()]);
            self.next += 1;
            passed_over += 1;
        }
        let request = &self.requests[self.next];
        self.next += 1;
        assert_eq!(
            request.args, testimony.args,
            "a client's commands take effect in the order sent"
        );
        if let Some(results) = &mut self.results
            && !ends
        {
            compare(request, &["+QUEUED".into()]);
            if results.is_empty() {
                let changed = is_touched(&self.watched, model, now_ms);
                assert!(
                    !changed,
                    "a transaction was executed that was to be given up"
                );
                self.executed_ms = now_ms;
            }
            results.push(model.execute(&request.args, self.executed_ms));
            return Effect::Queued;
        }
        if matches!(name, "BLPOP" | "BLMOVE") {
            let words: Vec<&str> = request.args.iter().map(String::as_str).collect();
            return match model.take(&words) {
                Some(expected) => Effect::Replied(request, expected),
                None => Effect::Waits(request),
            };
        }
        let expected = match name {
            "EXEC" => self.execute(model, passed_over, now_ms),
            _ => model.execute(&request.args, now_ms),
        };
        match name {
            "MULTI" => self.results = Some(Vec::new()),
            "DISCARD" => {
                self.results = None;
                self.watched.clear();
            }
            "WATCH" => {
                for key in &request.args[1..] {
                    let changes = model.changes(key, now_ms);
                    self.watched.push((key.clone(), changes));
                }
            }
            _ => {}
        }
        Effect::Replied(request, expected)
    }

    /// The reply to EXEC, before which so many queued commands were not executed.
    fn execute(&mut self, model: &mut Model, passed_over: usize, now_ms: i64) -> Vec<String> {
        let results = self.results.take().expect("EXEC behind MULTI");
        let watched = std::mem::take(&mut self.watched);
        if results.is_empty() && is_touched(&watched, model, now_ms) {
            return vec!["(nil-array)".into()];
        }
        assert_eq!(passed_over, 0, "a transaction was given up for no reason");
        let count = format!("*{}", results.len());
        std::iter::once(count)
            .chain(results.into_iter().flatten())
            .collect()
    }

    fn end(&self) {
        for request in &self.requests[self.next..] {
            let queued = ["+QUEUED".to_owned()];
            assert!(
                request
                    .reply
                    .as_ref()
                    .is_none_or(|(_, reply)| { self.results.is_some() && *reply == queued }),
                "a reply without an effect"
            );
        }
    }
}

/// Whether a watched key has been changed meanwhile.
fn is_touched(watched: &[(String, u64)], model: &mut Model, now_ms: i64) -> bool {
    let mut watched = watched.iter();
    watched.any(|(key, then)| model.changes(key, now_ms) != *then)
}

fn compare(request: &Request, expected: &[String]) {
    if let Some((_, reply)) = &request.reply {
        assert!(
            explains(&request.args, expected, reply),
            "{:?}: {reply:?}, expected {expected:?}",
            request.args
        );
    }
}

/// Whether a reply is what the model says: KEYS in any order, DBSIZE with keys that are due and not removed yet.
fn explains(args: &[String], expected: &[String], reply: &[String]) -> bool {
    let count = |lines: &[String]| lines[0][1..].parse::<usize>().expect("a number");
    match args[0].as_str() {
        "DBSIZE" => count(reply) >= count(expected),
        "KEYS" => {
            let mut reply = reply.to_vec();
            reply[1..].sort();
            reply == expected
        }
        _ => reply == expected,
    }
}
