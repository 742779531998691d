//! Commands that are about to be executed have what they will read loaded into the cache together: their entries, and of
//! large collections the elements that they name, or the ends of lists. One after the other, each would wait for memory
//! two to six times.

use ostraka_datatypes::collection::{Collection, LIST_STEPS};
use ostraka_datatypes::raw::table::prefetch;

use crate::call::Args;
use crate::command::{Aim, Command};
use crate::server::Access;

/// Commands whose reads are loaded together. More gain nothing: the processor can have about 16 misses under way.
pub const GROUP: usize = 32;

/// A command that is about to be executed.
#[derive(Clone, Copy)]
pub struct Coming<'a> {
    pub command: &'static Command,
    pub args: Args<'a>,
    pub db: usize,
}

/// Has loaded what up to a [`GROUP`] of commands reads first, as far as it lies in cells that are held.
pub fn load<'a>(coming: impl Iterator<Item = Coming<'a>> + Clone, access: &Access<'_>) {
    let held = access.set();
    let keyed = || {
        let keyed = coming
            .clone()
            .filter_map(|one| Some((one, one.args.first()?.1)));
        keyed.filter(|(_, key)| held.contains(key.cell))
    };
    let database = |one: Coming<'_>, cell| access.peek(cell).db(one.db);
    let mut spots = [None; GROUP];
    let mut aims = false;
    for (spot, (one, key)) in spots.iter_mut().zip(keyed()) {
        *spot = database(one, key.cell).spot(key.hash);
        aims |= one.command.aim != Aim::Nothing;
    }
    prefetch(&spots);

    if !aims {
        return;
    }
    // Pipelines tend to name one key again and again.
    let mut latest: (u64, Option<&Collection>) = (0, None);
    let mut aimed = [None; GROUP];
    for (aimed, (one, key)) in aimed.iter_mut().zip(keyed()) {
        if one.command.aim == Aim::Nothing {
            continue;
        }
        if latest.0 != key.hash {
            latest = (key.hash, database(one, key.cell).large(key.hash, key.bytes));
            if let Some(large) = latest.1 {
                large.load();
            }
        }
        *aimed = latest.1.map(|large| (large, one));
    }
    let mut spots = [None; GROUP];
    let mut ends = false;
    for (spot, (large, one)) in spots.iter_mut().zip(aimed.iter().flatten()) {
        match one.command.aim {
            Aim::Element(index) => {
                let element = one.args.get(index);
                *spot = element.and_then(|element| large.spot(element));
            }
            Aim::End(_) => ends = true,
            Aim::Nothing => {}
        }
    }
    prefetch(&spots);
    let steps = if ends { LIST_STEPS } else { 0 };
    for step in 0..steps {
        for (large, one) in aimed.iter().flatten() {
            if let Aim::End(end) = one.command.aim {
                large.load_end(end, step);
            }
        }
    }
}
