//! Reading whole sets in slices, frozen.

use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::set::SetRef;

use crate::fault::Fault;
use crate::keyspace::Keyspace;
use crate::router::Key;
use crate::slices::{Budget, Work};

/// Steps of work between two looks at the budget.
const AT_ONCE: usize = 64;

/// The set at `key` as it is now.
pub fn frozen(db: &mut Keyspace<'_>, key: Key<'_>) -> Result<Option<Entry>, Fault> {
    match db.read_as(key, Type::Set)? {
        Some(_) => db.frozen(key),
        None => Ok(None),
    }
}

/// How far a frozen set has been read.
#[derive(Default)]
pub struct Walk {
    cursor: u64,
    through: bool,
}

impl Walk {
    /// Hands members to `each`, every one once, until there are no more (`true`), or the budget is spent: `weight` for
    /// each of them.
    pub fn step(
        &mut self,
        set: SetRef<'_>,
        weight: usize,
        budget: &mut Budget<'_>,
        mut each: impl FnMut(Element<'_>),
    ) -> bool {
        let at_once = (AT_ONCE / weight).max(1);
        while !self.through {
            let mut seen = 0;
            self.cursor = set.scan(self.cursor, at_once, |member| {
                seen += 1;
                each(member);
            });
            self.through = self.cursor == 0;
            if !budget.spend(seen * weight) {
                break;
            }
        }
        self.through
    }
}

/// Replies all members of a frozen set.
pub struct Members {
    set: Entry,
    walk: Walk,
    opened: bool,
    as_array: bool,
}

impl Members {
    pub fn as_set(set: Entry) -> Self {
        Self {
            set,
            walk: Walk::default(),
            opened: false,
            as_array: false,
        }
    }

    /// SRANDMEMBER's replies may repeat members, so they are no sets.
    pub fn as_array(set: Entry) -> Self {
        Self {
            as_array: true,
            ..Self::as_set(set)
        }
    }
}

impl Work for Members {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let set = SetRef::of(&self.set);
        if !self.opened {
            self.opened = true;
            if self.as_array {
                reply.array(set.len());
            } else {
                reply.set(set.len());
            }
        }
        self.walk.step(set, 1, budget, |member| member.reply(reply))
    }
}
