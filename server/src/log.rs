//! The server's log, line by line as Redis writes it, so that tools which wait for "Ready to accept connections" find
//! it.
//!
//! ```text
//! 4711:M 23 Nov 2026 07:21:09.123 * Ready to accept connections tcp
//! pid  |                          |
//!      C before it serves,        . debug  - verbose  * notice  # warning
//!      M as a server on its own
//! ```
//!
//! Lines are events of the `tracing` crate, and the subscriber here prints them: those of the libraries in use come out
//! in the same log. Without [`open`] (a server inside a test) they go nowhere. Never call this on the hot path.

use std::fmt::{Arguments, Debug, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Level, Metadata, callsite};

use crate::config::Settings;
use crate::config::settings::{LogLevel, SyslogFacility};
use crate::os::clock;
use crate::os::log_output::{Output, SystemLog, local_time};

/// Bytes of a message; the rest is cut off.
const LONGEST_MESSAGE: usize = 1024;

pub fn debug(message: Arguments<'_>) {
    tracing::trace!("{message}");
}

pub fn verbose(message: Arguments<'_>) {
    tracing::debug!("{message}");
}

pub fn notice(message: Arguments<'_>) {
    tracing::info!("{message}");
}

pub fn warning(message: Arguments<'_>) {
    tracing::warn!("{message}");
}

/// Lines without head, whatever the level: the logo, parts of a crash report.
pub fn raw(text: &str) {
    if let Some(log) = LOG.get() {
        log.output.write(text.as_bytes());
        log.system_log
            .iter()
            .for_each(|system| system.write(LOG_NOTICE, text));
    }
}

static LOG: OnceLock<Log> = OnceLock::new();

/// The level's place in `LogLevel`.
static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);

/// Who writes: `C` until the server serves.
static ROLE: AtomicU8 = AtomicU8::new(b'C');

const LOG_WARNING: i32 = 4;
const LOG_NOTICE: i32 = 5;
const LOG_INFO: i32 = 6;
const LOG_DEBUG: i32 = 7;

struct Log {
    output: Output,
    system_log: Option<SystemLog>,
}

/// Opens the log as configured and prints events from now on. Called once per process.
pub fn open(settings: &Settings) -> std::io::Result<()> {
    let output = match &settings.logfile {
        Some(file) => Output::file(&settings.dir.join(file))?,
        None => Output::stdout(),
    };
    let system_log = settings.syslog_enabled.then(|| {
        let facility = match settings.syslog_facility {
            SyslogFacility::User => None,
            local => Some(local as u8 - SyslogFacility::Local0 as u8),
        };
        SystemLog::open(&settings.syslog_ident, facility)
    });
    begin(Log { output, system_log });
    set_level(settings.loglevel);
    Ok(())
}

/// Prints to standard output, before there is a configuration.
pub fn open_plain() {
    begin(Log {
        output: Output::stdout(),
        system_log: None,
    });
}

fn begin(log: Log) {
    LOG.get_or_init(|| log);
    // Fails if there is a subscriber already, which then gets the lines.
    tracing::subscriber::set_global_default(Printer).ok();
}

/// Logs more or less from now on (`CONFIG SET loglevel`).
pub fn set_level(level: LogLevel) {
    LEVEL.store(level as u8, Relaxed);
    callsite::rebuild_interest_cache();
}

/// The server has left its beginnings: lines are those of a primary.
pub fn set_role_primary() {
    ROLE.store(b'M', Relaxed);
}

/// The subscriber.
struct Printer;

/// Level in `LogLevel`, its mark, and syslog's name for it.
fn marks(level: Level) -> (LogLevel, char, i32) {
    match level {
        Level::TRACE => (LogLevel::Debug, '.', LOG_DEBUG),
        Level::DEBUG => (LogLevel::Verbose, '-', LOG_INFO),
        Level::INFO => (LogLevel::Notice, '*', LOG_NOTICE),
        Level::WARN | Level::ERROR => (LogLevel::Warning, '#', LOG_WARNING),
    }
}

impl Subscriber for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && marks(*metadata.level()).0 as u8 >= LEVEL.load(Relaxed)
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Relaxed) {
            level if level == LogLevel::Debug as u8 => LevelFilter::TRACE,
            level if level == LogLevel::Verbose as u8 => LevelFilter::DEBUG,
            level if level == LogLevel::Notice as u8 => LevelFilter::INFO,
            level if level == LogLevel::Warning as u8 => LevelFilter::WARN,
            _ => LevelFilter::OFF,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let Some(log) = LOG.get() else { return };
        let mut message = Message::default();
        event.record(&mut message);
        let (_, mark, severity) = marks(*event.metadata().level());
        let text = message.finished();
        log.output.write(line(mark, &text).as_bytes());
        log.system_log
            .iter()
            .for_each(|system| system.write(severity, &text));
    }

    // Spans are not printed.

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn line(mark: char, message: &str) -> String {
    let role = ROLE.load(Relaxed) as char;
    let time = local_time(clock::unix_ms());
    format!("{}:{role} {time} {mark} {message}\n", std::process::id())
}

/// The text of an event: its message, then ` name=value` for each field.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Message {
    fn finished(mut self) -> String {
        self.text.push_str(&self.fields);
        let end = self.text.floor_char_boundary(LONGEST_MESSAGE);
        self.text.truncate(end);
        // A name out of a client's mouth must not begin a line of its own.
        if self.text.contains(|c: char| c.is_control() && c != '\t') {
            self.text = self.text.escape_debug().to_string();
        }
        self.text
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        if field.name() == "message" {
            write!(self.text, "{value:?}").ok();
        } else {
            write!(self.fields, " {}={value:?}", field.name()).ok();
        }
    }
}
