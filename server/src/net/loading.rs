//! Commands that are about to be executed have what they will read loaded into the cache together: their entries, and of
//! large collections the elements that they name, or the ends of lists. One after the other, each would wait for memory
//! two to six times.

pub use ostraka_datatypes::ahead::GROUP;
use ostraka_datatypes::collection::{Collection, LIST_STEPS};
use ostraka_datatypes::raw::table::prefetch;

use super::batch::{Batch, Request};
use crate::call::Args;
use crate::command::Aim;
use crate::router::Router;
use crate::server::Access;

/// A command that is about to be executed.
#[derive(Clone, Copy)]
pub struct Coming<'a> {
    pub batch: &'a Batch,
    pub request: &'a Request,
    /// What the batch was parsed from.
    pub input: &'a [u8],
    pub db: usize,
}

impl<'a> Coming<'a> {
    /// The row, and the arguments as far as the command `aims` at one of them.
    fn aimed(self, router: Router) -> Option<(Aim, Args<'a>)> {
        let aim = self.request.command.map(|command| command.aim);
        let aim = aim.filter(|aim| *aim != Aim::Nothing)?;
        Some((aim, self.batch.args(self.request, self.input, router)))
    }
}

/// Has loaded what up to a [`GROUP`] of commands reads first, as far as it lies in cells that are held.
pub fn load<'a>(
    coming: impl Iterator<Item = Coming<'a>> + Clone,
    access: &Access<'_>,
    router: Router,
) {
    let held = access.set();
    let keyed = || {
        let keyed = coming
            .clone()
            .filter_map(|one| Some((one, one.request.key?)));
        keyed.filter(|(_, key)| held.contains(key.cell)).take(GROUP)
    };
    let database = |one: Coming<'_>, cell| access.peek(cell).db(one.db);
    let mut spots = [None; GROUP];
    let mut count = 0;
    for (one, key) in keyed() {
        spots[count] = database(one, key.cell).spot(key.hash);
        count += 1;
    }
    prefetch(&spots[..count]);

    let aimed = keyed().filter_map(|(one, key)| Some((one, key, one.aimed(router)?)));
    // Pipelines tend to name one key again and again.
    let mut latest: (u64, Option<&Collection>) = (0, None);
    let mut found = [None; GROUP];
    let mut count = 0;
    for (one, key, (aim, args)) in aimed {
        if latest.0 != key.hash {
            let name = args.at(key.index);
            latest = (key.hash, database(one, key.cell).large(key.hash, name));
            if let Some(large) = latest.1 {
                large.load();
            }
        }
        if let Some(large) = latest.1 {
            found[count] = Some((large, aim, args));
            count += 1;
        }
    }
    if count == 0 {
        return;
    }
    let found = &found[..count];
    let mut spots = [None; GROUP];
    let mut ends = false;
    for (spot, (large, aim, args)) in spots.iter_mut().zip(found.iter().flatten()) {
        match aim {
            Aim::Element(index) => {
                let element = args.get(*index);
                *spot = element.and_then(|element| large.spot(element));
            }
            Aim::End(_) => ends = true,
            Aim::Nothing => {}
        }
    }
    prefetch(&spots[..count]);
    let steps = if ends { LIST_STEPS } else { 0 };
    for step in 0..steps {
        for (large, aim, _) in found.iter().flatten() {
            if let Aim::End(end) = aim {
                large.load_end(*end, step);
            }
        }
    }
}
