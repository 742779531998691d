//! Directives that take a list of words: what they mean as data, how they are read and printed.
//!
//! `bind`, `save`, `client-output-buffer-limit`, `latency-tracking-info-percentiles`, `shutdown-on-*`,
//! `oom-score-adj-values` and `replicaof`. Pure functions from words to values; refusals are worded as in Redis.

use std::fmt;

use super::value::{self, Reason, WRONG_NUMBER, none_of, spaced};

/// An address to listen on, as it was written: `127.0.0.1`, `-::1`, `*`, `-::*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    pub(super) text: String,
}

impl BindAddress {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The start goes on without this address if the host does not have it.
    pub fn is_optional(&self) -> bool {
        self.text.starts_with('-')
    }

    /// The host to resolve; `*` stands for every IPv4 address, `::*` for every IPv6 address.
    pub fn host(&self) -> &str {
        match self.text.strip_prefix('-').unwrap_or(&self.text) {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        }
    }
}

const MAX_BIND_ADDRESSES: usize = 16;

pub(super) fn bind(words: &[&[u8]]) -> Result<Vec<BindAddress>, Reason> {
    if words.len() > MAX_BIND_ADDRESSES {
        return Err("Too many bind addresses specified.".into());
    }
    words
        .iter()
        .map(|word| match std::str::from_utf8(word) {
            Ok(text) if !text.contains(char::is_control) => Ok(BindAddress {
                text: text.to_owned(),
            }),
            _ => Err("Failed to bind to specified addresses.".into()),
        })
        .collect()
}

/// Save a snapshot once `changes` were made and `seconds` went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: u64,
    pub changes: u64,
}

impl fmt::Display for SavePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seconds, self.changes)
    }
}

/// No words mean no save points, whatever there was before.
pub(super) fn save(words: &[&[u8]], before: &[SavePoint]) -> Result<Vec<SavePoint>, Reason> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let number = |word, min| {
        let number = value::integer(word)
            .ok()
            .filter(|n| *n >= min)
            .and_then(|n| n.try_into().ok());
        number.ok_or(Reason::Borrowed("Invalid save parameters"))
    };
    let mut points = before.to_vec();
    for pair in words.chunks(2) {
        let [seconds, changes] = pair else {
            return Err("Invalid save parameters".into());
        };
        points.push(SavePoint {
            seconds: number(seconds, 1)?,
            changes: number(changes, 0)?,
        });
    }
    Ok(points)
}

/// How much unread output a client may leave behind; 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    pub hard_bytes: u64,
    /// A client over this for more than `soft_s` seconds is closed.
    pub soft_bytes: u64,
    pub soft_s: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    pub normal: OutputLimit,
    pub replica: OutputLimit,
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    /// Name of the class and its words, numbers plain. Redis still says `slave` here, and tools read it.
    pub(super) fn classes(&self) -> [(OutputLimit, String); 3] {
        [
            ("normal", self.normal),
            ("slave", self.replica),
            ("pubsub", self.pubsub),
        ]
        .map(|(name, limit)| {
            (
                limit,
                format!(
                    "{name} {} {} {}",
                    limit.hard_bytes, limit.soft_bytes, limit.soft_s
                ),
            )
        })
    }

    /// One line per class that differs from the default; all of them if none does.
    pub(super) fn lines_from(&self, default: &OutputLimits) -> Vec<String> {
        let lines = |keep: fn(&OutputLimit, &OutputLimit) -> bool| {
            let pairs = self.classes().into_iter().zip(default.classes());
            pairs
                .filter(|(ours, theirs)| keep(&ours.0, &theirs.0))
                .map(|(ours, _)| ours.1)
                .collect::<Vec<_>>()
        };
        let changed = lines(|ours, theirs| ours != theirs);
        if changed.is_empty() {
            lines(|_, _| true)
        } else {
            changed
        }
    }
}

/// Changes the classes that are named and leaves the others as they were, all or none.
pub(super) fn output_limits(words: &[&[u8]], before: OutputLimits) -> Result<OutputLimits, Reason> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = before;
    for class in words.chunks(4) {
        let limit = match class[0].to_ascii_lowercase().as_slice() {
            b"normal" => &mut limits.normal,
            b"slave" | b"replica" => &mut limits.replica,
            b"pubsub" => &mut limits.pubsub,
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        };
        *limit = output_limit(&class[1..])
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

fn output_limit(words: &[&[u8]]) -> Option<OutputLimit> {
    Some(OutputLimit {
        hard_bytes: value::memory(words[0])?,
        soft_bytes: value::memory(words[1])?,
        soft_s: value::integer(words[2]).ok()?.try_into().ok()?,
    })
}

/// Percentiles between 0 and 100, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

pub(super) fn percentiles(words: &[&[u8]]) -> Result<Percentiles, Reason> {
    let percentile = |word: &&[u8]| {
        let number = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        match number {
            Some(number) if (0.0..=100.0).contains(&number) => Ok(number),
            Some(number) if !number.is_nan() => Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                    .into(),
            ),
            _ => Err("Invalid latency-tracking-info-percentiles parameters".into()),
        }
    };
    words
        .iter()
        .map(percentile)
        .collect::<Result<_, _>>()
        .map(Percentiles)
}

/// What a signal to shut down asks for; all false is `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    pub save: bool,
    pub nosave: bool,
    /// Do not wait for lagging replicas.
    pub now: bool,
    /// Shut down even if saving fails.
    pub force: bool,
}

const SHUTDOWN_WORDS: [&str; 5] = ["default", "save", "nosave", "now", "force"];

impl fmt::Display for ShutdownOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = [
            ("save", self.save),
            ("nosave", self.nosave),
            ("now", self.now),
            ("force", self.force),
        ];
        let words = spaced(
            given
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(word, _)| word),
        );
        f.write_str(if words.is_empty() { "default" } else { &words })
    }
}

pub(super) fn shutdown(words: &[&[u8]]) -> Result<ShutdownOptions, Reason> {
    let mut options = ShutdownOptions::default();
    if words.is_empty() {
        return Err(none_of(&SHUTDOWN_WORDS));
    }
    for word in words {
        match word.to_ascii_lowercase().as_slice() {
            b"default" => {}
            b"save" => options.save = true,
            b"nosave" => options.nosave = true,
            b"now" => options.now = true,
            b"force" => options.force = true,
            _ => return Err(none_of(&SHUTDOWN_WORDS)),
        }
    }
    if options.save && options.nosave {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(options)
}

pub(super) fn oom_scores(words: &[&[u8]]) -> Result<[i32; 3], Reason> {
    let [main, replica, child] = words else {
        return Err(WRONG_NUMBER);
    };
    let score = |word: &[u8]| match value::integer(word) {
        Ok(score @ -2000..=2000) => Ok(score as i32),
        _ => Err(Reason::Borrowed(
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        )),
    };
    Ok([score(main)?, score(replica)?, score(child)?])
}

/// `host port`; `no one` stands for nobody.
pub(super) fn replica_of(words: &[&[u8]]) -> Result<Vec<u8>, Reason> {
    match words {
        [] => Ok(Vec::new()),
        [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one") => {
            Ok(Vec::new())
        }
        [_, port] => match value::integer(port) {
            Ok(0..=65535) => Ok(words.join(&b' ')),
            _ => Err("Invalid master port".into()),
        },
        _ => Err(WRONG_NUMBER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&[u8]> {
        text.split_whitespace().map(str::as_bytes).collect()
    }

    #[test]
    fn save_points_come_in_pairs_and_add_up() {
        let first = save(&split("900 1"), &[]).unwrap();
        let both = save(&split("300 10"), &first).unwrap();
        assert_eq!(spaced(&both), "900 1 300 10");
        assert_eq!(save(&[], &both).unwrap(), []);
        for wrong in ["1", "abc", "1 -1", "0 1", "1 x", "1 2 3"] {
            assert!(save(&split(wrong), &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn output_limits_change_only_the_classes_named() {
        let limits = output_limits(
            &split("NORMAL 1mb 2k 3 replica 5 6 7"),
            OutputLimits::default(),
        )
        .unwrap();
        assert_eq!(
            limits.normal,
            OutputLimit {
                hard_bytes: 1 << 20,
                soft_bytes: 2000,
                soft_s: 3
            }
        );
        assert_eq!(limits.pubsub, OutputLimit::default());
        assert_eq!(
            limits.lines_from(&OutputLimits::default()),
            ["normal 1048576 2000 3", "slave 5 6 7"]
        );
        for wrong in ["foo", "foo 1 2 3", "normal 1 2 x", "normal 1 2 -1"] {
            assert!(output_limits(&split(wrong), limits).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shutdown_words_print_in_one_order() {
        assert_eq!(
            shutdown(&split("now FORCE nosave")).unwrap().to_string(),
            "nosave now force"
        );
        assert_eq!(shutdown(&split("default")).unwrap().to_string(), "default");
        assert!(shutdown(&split("save nosave")).is_err());
        assert!(shutdown(&[]).is_err());
    }

    #[test]
    fn an_address_tells_its_host_and_whether_it_may_be_missing() {
        let addresses = bind(&split("* -::* -fe80::1 10.0.0.1")).unwrap();
        let told: Vec<_> = addresses
            .iter()
            .map(|a| (a.host(), a.is_optional()))
            .collect();
        assert_eq!(
            told,
            [
                ("0.0.0.0", false),
                ("::", true),
                ("fe80::1", true),
                ("10.0.0.1", false)
            ]
        );
    }
}
