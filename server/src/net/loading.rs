//! Commands that are about to be executed have what they will read loaded into the cache together: their entries, and of
//! large collections the elements that they name. One after the other, each would wait two to four times for memory.

use ostraka_datatypes::collection::Collection;
use ostraka_datatypes::raw::table::prefetch;

use crate::call::Args;
use crate::command::Command;
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
    let mut names_element = false;
    for (spot, (one, key)) in spots.iter_mut().zip(keyed()) {
        *spot = database(one, key.cell).spot(key.hash);
        names_element |= one.command.element != 0;
    }
    prefetch(&spots);

    if !names_element {
        return;
    }
    // Pipelines tend to name one key again and again.
    let mut latest: (u64, Option<&Collection>) = (0, None);
    let mut spots = [None; GROUP];
    for (spot, (one, key)) in spots.iter_mut().zip(keyed()) {
        if one.command.element == 0 {
            continue;
        }
        if latest.0 != key.hash {
            latest = (key.hash, database(one, key.cell).large(key.hash, key.bytes));
        }
        let element = one.args.get(one.command.element);
        *spot = latest
            .1
            .zip(element)
            .and_then(|(large, element)| large.spot(element));
    }
    prefetch(&spots);
}
