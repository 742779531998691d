//! What a row must fulfil for the server to compile.

use super::keys::{
    Begin, DELETE, Find, INCOMPLETE, INSERT, KeySpec, MODES, NOT_KEY, OW, RM, RW, UPDATE,
};
use super::{Command, MAY_REPLICATE, MOVABLE_KEYS, NO_MANDATORY_KEYS, READONLY, WRITE};

/// Declares a row beside its function: `command! { GET = name: "get", run: get, ... }` is a `static GET: Command`
/// that does not compile if it contradicts itself. A row that no family lists is reported as dead code.
#[macro_export]
macro_rules! command {
    ($row:ident = $($field:ident: $value:expr),* $(,)?) => {
        pub(crate) static $row: $crate::command::Command = $crate::command::Command {
            $($field: $value,)*
            id: Some({
                static ID: $crate::command::Id = $crate::command::Id::new();
                &ID
            }),
            ..$crate::command::Command::ROW
        };
        const _: () = $row.check();
    };
}

impl Command {
    /// Panics, hence does not compile inside [`command!`](crate::command!), if the row contradicts itself.
    pub const fn check(&self) {
        self.check_names();
        self.check_arity();
        self.check_keys();
        self.check_subcommands();
    }

    const fn check_names(&self) {
        assert!(!self.name.is_empty(), "a row has a name");
        assert!(
            is_name(self.name.as_bytes()),
            "a name is lower case letters, digits, `-`, `_` and at most one `|`"
        );
        assert!(
            is_version(self.since.as_bytes()),
            "`since` reads like 1.2.3"
        );
        assert!(!self.summary.is_empty(), "a row has a summary");
        if let Some(deprecated) = &self.deprecated {
            assert!(
                is_version(deprecated.since.as_bytes()),
                "`deprecated` since reads like 1.2.3"
            );
        }
        let mut i = 0;
        while i < self.history.len() {
            assert!(
                is_version(self.history[i].0.as_bytes()),
                "`history` gives versions like 1.2.3"
            );
            i += 1;
        }
    }

    const fn check_arity(&self) {
        let name_words = if self.is_subcommand() { 2 } else { 1 };
        assert!(self.arity != 0, "a row has an arity");
        assert!(
            self.arity.abs() >= name_words,
            "arity counts the name, and the subcommand's too"
        );
        assert!(
            !self.syntax.is_empty()
                || self.arity == name_words
                || !self.subcommands.is_empty()
                || self.arity < 0,
            "who asks for arguments declares them in `syntax`"
        );
    }

    const fn check_keys(&self) {
        assert!(
            !self.is(WRITE) || !self.is(READONLY),
            "a command writes or only reads"
        );
        assert!(
            !self.is(MOVABLE_KEYS),
            "`movablekeys` is derived from the key specs"
        );
        assert!(
            self.find_keys.is_none() || !self.keys.is_empty(),
            "`find_keys` comes with key specs"
        );
        let mut complete = true;
        let mut i = 0;
        while i < self.keys.len() {
            let spec = &self.keys[i];
            spec.check();
            assert!(
                self.arity.abs() >= spec.fewest_args() || self.is(NO_MANDATORY_KEYS),
                "arity leaves no room for the keys"
            );
            assert!(
                spec.is_readonly() || !self.is(READONLY) || self.is(MAY_REPLICATE),
                "a readonly command changes no key"
            );
            complete = complete && spec.is_complete();
            i += 1;
        }
        assert!(
            complete || self.find_keys.is_some(),
            "incomplete key specs need a `find_keys`"
        );
    }

    const fn check_subcommands(&self) {
        assert!(
            self.subcommands.is_empty() || self.arity < 0,
            "a container takes at least its subcommand"
        );
        let mut i = 0;
        while i < self.subcommands.len() {
            let sub = self.subcommands[i];
            assert!(
                is_below(sub.name.as_bytes(), self.name.as_bytes()),
                "a subcommand is named `container|own_name`"
            );
            assert!(
                sub.subcommands.is_empty(),
                "subcommands have no subcommands"
            );
            sub.check();
            i += 1;
        }
    }

    pub(super) const fn is_subcommand(&self) -> bool {
        let name = self.name.as_bytes();
        let mut i = 0;
        while i < name.len() {
            if name[i] == b'|' {
                return true;
            }
            i += 1;
        }
        false
    }
}

impl KeySpec {
    const fn check(&self) {
        assert!(
            (self.flags & MODES).count_ones() == 1 || self.flags & NOT_KEY != 0,
            "one of RO, RW, OW and RM"
        );
        assert!(
            self.flags & (UPDATE | INSERT | DELETE) == 0 || !self.is_readonly(),
            "who only reads changes nothing"
        );
        if let Begin::Index(index) = self.begin {
            assert!(index > 0, "argument 0 is the command's name");
        }
        if let Find::Range { step, .. } | Find::KeyNum { step, .. } = self.find {
            assert!(step > 0, "keys are at least one argument apart");
        }
    }

    const fn is_readonly(&self) -> bool {
        self.flags & (RW | OW | RM) == 0
    }

    /// Number of arguments, the name counted, that the spec needs in any case.
    const fn fewest_args(&self) -> i32 {
        match (self.begin, self.find) {
            _ if self.flags & INCOMPLETE != 0 => 0,
            (Begin::Index(index), Find::Range { last: -1, .. }) => index as i32,
            (Begin::Index(index), _) => index as i32 + 1,
            _ => 0,
        }
    }
}

const fn is_name(name: &[u8]) -> bool {
    let (mut bars, mut i) = (0, 0);
    while i < name.len() {
        match name[i] {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'|' if i > 0 && i + 1 < name.len() => bars += 1,
            _ => return false,
        }
        i += 1;
    }
    bars <= 1
}

/// Three numbers and two dots.
const fn is_version(text: &[u8]) -> bool {
    let (mut dots, mut digits, mut i) = (0, 0, 0);
    while i < text.len() {
        match text[i] {
            b'0'..=b'9' => digits += 1,
            b'.' if digits > 0 => (dots, digits) = (dots + 1, 0),
            _ => return false,
        }
        i += 1;
    }
    dots == 2 && digits > 0
}

const fn is_below(sub: &[u8], container: &[u8]) -> bool {
    let mut i = 0;
    while i < container.len() {
        if i >= sub.len() || sub[i] != container[i] {
            return false;
        }
        i += 1;
    }
    sub.len() > i + 1 && sub[i] == b'|'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::keys::{ACCESS, RO, key};

    crate::command! { GOOD =
        name: "good", arity: 2, flags: READONLY, keys: &[key(1, RO | ACCESS)], since: "1.0.0",
        summary: "Does.", syntax: "key<key>",
    }

    const fn row() -> Command {
        Command {
            name: "good",
            arity: 2,
            flags: READONLY,
            keys: const { &[key(1, RO | ACCESS)] },
            since: "1.0.0",
            summary: "Does.",
            syntax: "key<key>",
            ..Command::ROW
        }
    }

    #[test]
    fn a_consistent_row_compiles() {
        assert_eq!(GOOD.name, "good");
    }

    const WRITTEN: &[KeySpec] = &[key(1, RW)];
    const TWO_MODES: &[KeySpec] = &[key(1, RO | RW)];
    const IN_PART: &[KeySpec] = &[key(1, RO | INCOMPLETE)];
    const OTHERS: &[&Command] = &[&GOOD];

    #[test]
    fn an_inconsistent_row_is_refused() {
        assert_refused(
            Command {
                name: "Good",
                ..row()
            },
            "lower case",
        );
        assert_refused(Command { name: "", ..row() }, "has a name");
        assert_refused(
            Command {
                since: "1.0",
                ..row()
            },
            "`since`",
        );
        assert_refused(Command { arity: 0, ..row() }, "has an arity");
        assert_refused(Command { arity: 1, ..row() }, "no room for the keys");
        assert_refused(
            Command {
                flags: READONLY | WRITE,
                ..row()
            },
            "writes or only reads",
        );
        assert_refused(
            Command {
                keys: WRITTEN,
                ..row()
            },
            "changes no key",
        );
        assert_refused(
            Command {
                keys: TWO_MODES,
                ..row()
            },
            "one of RO, RW",
        );
        assert_refused(
            Command {
                keys: IN_PART,
                ..row()
            },
            "need a `find_keys`",
        );
        assert_refused(
            Command {
                arity: -2,
                subcommands: OTHERS,
                ..row()
            },
            "container|own_name",
        );
        assert_refused(
            Command {
                name: "a|b",
                arity: 1,
                ..row()
            },
            "subcommand's too",
        );
    }

    fn assert_refused(row: Command, reason: &str) {
        let panic = std::panic::catch_unwind(|| row.check()).expect_err(reason);
        let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(text.contains(reason), "{text:?} is not about {reason:?}");
    }
}
