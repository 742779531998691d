//! What a handler sees: its arguments, the keyspace, the caller's session, and where to write the reply.

use ostraka_datatypes::numbers;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::{Reply, Span};

use crate::command::Command;
pub use crate::fault::Fault;
use crate::keyspace::Keyspace;
use crate::router::{Key, Router};
use crate::server::Server;
use crate::session::Session;
use crate::task::Job;

/// How a handler ends. An error becomes the reply; what the handler had written is taken back.
pub type Outcome = Result<(), Fault>;

/// One call of one command.
pub struct Call<'a> {
    pub command: &'static Command,
    pub args: Args<'a>,
    pub reply: Reply<'a>,
    pub db: Keyspace<'a>,
    pub session: &'a mut Session,
    pub server: &'static Server,
    /// Set by a handler that leaves its reply to a [`Job`].
    pub job: &'a mut Option<Box<dyn Job>>,
}

impl Call<'_> {
    /// Argument `index` as the number of a database.
    pub fn database(&self, index: usize) -> Result<usize, Fault> {
        let number = i32::try_from(self.args.integer(index)?).map_err(|_| {
            let text = "value is out of range, value must between -2147483648 and 2147483647";
            Fault::err(text)
        })?;
        usize::try_from(number)
            .ok()
            .filter(|database| *database < self.db.exec.settings.databases as usize)
            .ok_or(Fault::DbOutOfRange)
    }

    /// Answers how long the value of type `kind` at argument 1 is, 0 if there is none: LLEN and its kin.
    #[inline]
    pub fn reply_len(&mut self, kind: Type, len: impl FnOnce(&Entry) -> usize) -> Outcome {
        let entry = self.db.read_as(self.args.key(1), kind)?;
        let len = entry.map_or(0, |entry| len(&entry));
        self.reply.integer(len as i64);
        Ok(())
    }
}

/// The arguments of one call, the command's name first. Borrowed from the bytes that were received.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    router: Router,
    /// What routing computed for the first key, and which argument that is.
    first: Option<(usize, Key<'a>)>,
}

impl<'a> Args<'a> {
    #[inline]
    pub fn new(
        bytes: &'a [u8],
        spans: &'a [Span],
        router: Router,
        first: Option<(usize, Key<'a>)>,
    ) -> Self {
        Self {
            bytes,
            spans,
            router,
            first,
        }
    }

    #[expect(clippy::len_without_is_empty, reason = "there is always a name")]
    #[inline]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Bytes of the request with the protocol's framing.
    #[inline]
    pub fn request_len(self) -> usize {
        self.bytes.len()
    }

    /// What the spans refer to.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub fn spans(self) -> &'a [Span] {
        self.spans
    }

    /// What routing computed for the first key, and which argument that is.
    #[inline]
    pub fn first(self) -> Option<(usize, Key<'a>)> {
        self.first
    }

    #[inline]
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.bytes))
    }

    /// Argument `index`, which the row's arity promises.
    #[inline]
    pub fn at(self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.bytes)
    }

    /// The arguments from `index` on, as a call of its own.
    pub fn from(self, index: usize) -> Args<'a> {
        Args {
            spans: self.spans.get(index..).unwrap_or_default(),
            first: None,
            ..self
        }
    }

    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone {
        self.spans.iter().map(move |span| span.of(self.bytes))
    }

    /// How many cells there are.
    pub fn cells(self) -> usize {
        self.router.cells()
    }

    /// Argument `index` as a key.
    #[inline]
    pub fn key(self, index: usize) -> Key<'a> {
        match self.first {
            Some((first, key)) if first == index => key,
            _ => self.router.key(self.at(index)),
        }
    }

    /// The keys at `start`, `start + step`, ...
    pub fn keys(self, start: usize, step: usize) -> impl Iterator<Item = Key<'a>> + Clone {
        (start..self.len())
            .step_by(step)
            .map(move |index| self.key(index))
    }

    /// Whether argument `index` is there and is the word `word`, in any case.
    #[inline]
    pub fn is(self, index: usize, word: &str) -> bool {
        self.get(index)
            .is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Argument `index` as a signed integer, or Redis' general complaint.
    #[inline]
    pub fn integer(self, index: usize) -> Result<i64, Fault> {
        self.integer_or(index, Fault::NotInteger)
    }

    /// Argument `index` as a signed integer, or `fault`.
    #[inline]
    pub fn integer_or(self, index: usize, fault: Fault) -> Result<i64, Fault> {
        self.get(index).and_then(numbers::parse_i64).ok_or(fault)
    }

    /// Argument `index` as a signed integer whose negative is one too.
    pub fn symmetric(self, index: usize) -> Result<i64, Fault> {
        let number = self.integer(index)?;
        if number == i64::MIN {
            let (min, max) = (-i64::MAX, i64::MAX);
            let text = format_args!("value is out of range, value must between {min} and {max}");
            return Err(Fault::err(text));
        }
        Ok(number)
    }

    /// Argument `index` as a number of 0 or more, or what `fault` says.
    pub fn natural(self, index: usize, fault: impl FnOnce() -> Fault) -> Result<usize, Fault> {
        let number = self.get(index).and_then(numbers::parse_i64);
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(fault)
    }

    /// Argument `index` as a number above 0, or what `fault` says.
    pub fn positive(self, index: usize, fault: impl Fn() -> Fault) -> Result<usize, Fault> {
        match self.natural(index, &fault)? {
            0 => Err(fault()),
            number => Ok(number),
        }
    }
}
