//! INFO.

use std::sync::Arc;

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::info::{self, Facts};

pub static ROWS: &[&Command] = &[&INFO];

command! { INFO =
    name: "info", run: info, arity: -1, flags: LOADING | STALE, route: Route::Custom(info::reach), categories: DANGEROUS,
    group: Group::Server, since: "1.0.0", complexity: "O(1)",
    summary: "Returns information and statistics about the server.",
    syntax: "[section<string>...]",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    history: &[("7.0.0", "Added support for taking multiple section arguments.")],
}

fn info(c: &mut Call<'_>) -> Outcome {
    let settings = Arc::clone(&c.db.exec.settings);
    let facts = Facts::gather(c, &settings);
    let text = info::text(c.args.from(1), &facts);
    c.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}
