//! Every error text that a client can see, worded as Redis words it: clients parse these.
//!
//! The first word is the code that INFO errorstats counts. A text that depends on the request is composed
//! where it is known and travels as [`Fault::Text`].

use std::borrow::Cow;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Why a command was refused.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
            /// A text composed for this request, code included.
            Text(Cow<'static, str>),
        }

        impl Fault {
            /// The whole line behind the `-`.
            pub fn text(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Text(text) => text,
                }
            }
        }
    };
}

faults! {
    WrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
    Syntax = "ERR syntax error";
    NotInteger = "ERR value is not an integer or out of range";
    NotFloat = "ERR value is not a valid float";
    OutOfRange = "ERR value is out of range";
    NotScoreRange = "ERR min or max is not a float";
    NotLexRange = "ERR min or max not valid string range item";
    NotWeight = "ERR weight value is not a float";
    ScoreNan = "ERR resulting score is not a number (NaN)";
    NotPositive = "ERR value is out of range, must be positive";
    NoSuchKey = "ERR no such key";
    IndexOutOfRange = "ERR index out of range";
    SameObject = "ERR source and destination objects are the same";
    InvalidCursor = "ERR invalid cursor";
    IncrementOverflow = "ERR increment or decrement would overflow";
    DecrementOverflow = "ERR decrement would overflow";
    NanOrInfinity = "ERR increment would produce NaN or Infinity";
    OffsetOutOfRange = "ERR offset is out of range";
    BitOffsetOutOfRange = "ERR bit offset is not an integer or out of range";
    BitOutOfRange = "ERR bit is not an integer or out of range";
    NotHyperLogLog = "WRONGTYPE Key is not a valid HyperLogLog string value.";
    CorruptHyperLogLog = "INVALIDOBJ Corrupted HLL object detected";
    StringTooLong = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    InvalidDb = "ERR invalid DB index";
    DbOutOfRange = "ERR DB index is out of range";
    NotAuthenticated = "NOAUTH Authentication required.";
    WrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";
    NoProto = "NOPROTO unsupported protocol version";
    /// A client that runs MONITOR asks for data.
    MonitorOnly = "ERR Replica can't interact with the keyspace";
    HelloFirst = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
        <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
    NoPasswordSet = "ERR AUTH <password> called without any password configured for the default user. Are you sure \
        your configuration is correct?";
    MaxClients = "ERR max number of clients reached";
    OutOfMemory = "OOM command not allowed when used memory > 'maxmemory'.";
    ExecWithoutMulti = "ERR EXEC without MULTI";
    DiscardWithoutMulti = "ERR DISCARD without MULTI";
    NestedMulti = "ERR MULTI calls can not be nested";
    WatchInsideMulti = "ERR WATCH inside MULTI is not allowed";
    Unblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    NotInsideMulti = "ERR Command not allowed inside a transaction";
    ExecAborted = "EXECABORT Transaction discarded because of previous errors.";
    InvalidCommand = "ERR Invalid command specified";
    NoKeyArguments = "ERR The command has no key arguments";
    InvalidArgumentCount = "ERR Invalid number of arguments specified for command";
    InvalidArguments = "ERR Invalid arguments specified for command";
    /// Somebody reads, in slices, what the command has to change: it is tried again soon. Never sent.
    Busy = "TRYAGAIN the value is being read";
    /// SAVE and its kin, as long as there is no persistence.
    NoPersistence = "ERR this server keeps data in memory only: persistence is not available";
}

impl Fault {
    /// An error of the general code, from a text without the code: `Fault::err("no such user")`.
    pub fn err(text: impl std::fmt::Display) -> Self {
        Self::Text(Cow::Owned(format!("ERR {text}")))
    }

    /// The code that INFO errorstats counts under: the first of several words.
    pub fn code(&self) -> &str {
        self.text().split_once(' ').map_or("ERR", |(code, _)| code)
    }

    /// `EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command`
    pub fn transaction_discarded(reason: &Fault) -> Self {
        let text = reason.text();
        let text = text.strip_prefix("ERR ").unwrap_or(text);
        let text = format!("EXECABORT Transaction discarded because of: {text}");
        Self::Text(Cow::Owned(text))
    }

    /// `ERR invalid expire time in 'set' command`
    pub fn invalid_expire(command: &str) -> Self {
        Self::err(format_args!("invalid expire time in '{command}' command"))
    }

    /// `ERR wrong number of arguments for 'get' command`
    pub fn arity(command: &str) -> Self {
        Self::err(format_args!(
            "wrong number of arguments for '{command}' command"
        ))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Fault {}
