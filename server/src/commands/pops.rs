//! How the commands are called that pop from the first of several keys: LMPOP, ZMPOP, and those of them that wait.

use std::ops::Range;

use crate::call::{Args, Fault};

/// `numkeys key [key ...] where [COUNT count]`
pub struct MultiPop<E> {
    /// The arguments that are keys.
    pub keys: Range<usize>,
    pub end: E,
    pub count: usize,
}

impl<E> MultiPop<E> {
    /// Reads the arguments from the number of keys on; `end` reads the one that says where to pop.
    pub fn parse(
        args: Args<'_>,
        at: usize,
        end: impl Fn(Args<'_>, usize) -> Result<E, Fault>,
    ) -> Result<Self, Fault> {
        let keys = args.positive(at, || Fault::err("numkeys should be greater than 0"))?;
        let place = at.saturating_add(keys).saturating_add(1);
        let end = end(args, place)?;
        let options = args.from(place + 1);
        let mut count = 1;
        if options.is(0, "COUNT") && options.len() > 1 {
            // It is looked at before what stands behind it is found to be too much.
            count = options.positive(1, || Fault::err("count should be greater than 0"))?;
        }
        match options.len() {
            0 => {}
            2 if options.is(0, "COUNT") => {}
            _ => return Err(Fault::Syntax),
        }
        Ok(Self {
            keys: at + 1..place,
            end,
            count,
        })
    }
}
